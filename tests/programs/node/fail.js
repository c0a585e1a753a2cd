// Fails in the way that the first argument names, and says nothing of it but what Node prints.
//
//     node fail.js chain               the failure, on stderr
//     TRUTH=1 node fail.js chain       what Node itself knows of the same failure, as JSON on stdout
'use strict';
const { parse } = require('./library.js');

if (process.env.TRUTH) require('./truth.js');

class OrderError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'OrderError';
    this.code = 'E_ORDER';
  }
}

class Orders {
  constructor(rows) {
    this.rows = rows;
  }

  find(id) {
    try {
      return parse(this.rows[id]);
    } catch (error) {
      throw new OrderError(`no order ${id}`, { cause: error });
    }
  }
}

const failures = {
  chain() {
    try {
      new Orders({}).find('A-1');
    } catch (error) {
      throw new Error('service unavailable', { cause: error });
    }
  },
  lines() {
    throw new TypeError('first line\n\n    at looksLike.aCall (/not/real.js:1:1)\nlast: line');
  },
  empty() {
    [1].map(() => {
      throw new Error();
    });
  },
  aggregate() {
    throw new AggregateError([new RangeError('one\nand more'), new OrderError('two')], 'both failed');
  },
  async later() {
    const load = async () => {
      await null;
      throw new OrderError('größe 日本語 🎉');
    };
    await Promise.all([null, load()]);
  },
  rethrown() {
    const error = new Error('made here');
    const throwIt = () => {
      throw error;
    };
    throwIt();
  },
  evaluated() {
    eval('function inner() { throw new Error("from eval"); }\ninner();');
  },
  emitted() {
    const emitter = new (require('events'))();
    setImmediate(() => emitter.emit('error', new Error('nobody listens')));
  },
};

failures[process.argv[2]]();
