// A function that fails as its event asks it to.

class OutOfStock extends Error {
  constructor(message) {
    super(message);
    this.name = 'OutOfStock';
  }
}

const failures = {
  exception() {
    throw new Error('I failed!'); // mark: exception
  },
  own() {
    throw new OutOfStock('no stock for sku TA-404'); // mark: own
  },
  text() {
    throw new RangeError('größer als 東京\nzweite Zeile: 🚀'); // mark: text
  },
  exit() {
    process.exit(7);
  },
  segv() {
    process.kill(process.pid, 'SIGSEGV');
    return forever();
  },
  sleep() {
    return forever();
  },
  rejected() {
    Promise.reject(new Error('nobody waits for me')); // mark: rejected
    return forever();
  },
  uncaught() {
    setTimeout(() => {
      throw new Error('nobody calls me'); // mark: uncaught
    });
    return forever();
  },
};

function forever() {
  return new Promise((resolve) => setTimeout(resolve, 1_000_000));
}

export async function handler(event) {
  const fail = event.fail ?? 'none';
  if (fail !== 'none') await failures[fail](); // mark: handler
  return { ok: true };
}

export const stream = awslambda.streamifyResponse(async (event, response) => {
  // aws-lambda-ric 4.0.2 asks for the next event without waiting for what it has yet to send.
  await new Promise((isSent) => response.write('{"ok":', isSent));
  if (event.fail === 'stream') throw new Error('I failed halfway!'); // mark: stream
  response.end('true}');
});
