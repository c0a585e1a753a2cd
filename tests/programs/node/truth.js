// Prints what V8's own call sites say of the failure that ends the process, as a record.
'use strict';
const sites = new WeakMap();

Error.prepareStackTrace = (error, calls) => {
  sites.set(error, calls);
  return [error, ...calls.map((call) => `    at ${call}`)].join('\n');
};

// The name as V8 prints it: what the function was called on stands before it, unless the name is more than an identifier
// (up to Node 16: unless the name begins with it).
const isOld = parseInt(process.versions.node, 10) <= 16;
const isWhole = (own, type) => (isOld ? own.startsWith(type) : !/^[\p{L}_$][\p{L}\d_$]*$/u.test(own));

function name(call) {
  const own = call.getFunctionName();
  if (call.isPromiseAll()) return 'Promise.all';
  if (call.isConstructor()) return `new ${own || '<anonymous>'}`;
  const type = call.getTypeName();
  if (call.isToplevel() || !type) return own;
  const method = call.getMethodName();
  if (!own) return `${type}.${method || '<anonymous>'}`;
  const alias = method && own !== method && !own.endsWith(`.${method}`) ? ` [as ${method}]` : '';
  return `${isWhole(own, type) ? '' : `${type}.`}${own}${alias}`;
}

function file(call) {
  const origin = call.isEval() && /\(([^()]+):(\d+):\d+\)$/.exec(call.getEvalOrigin());
  if (origin) return [origin[1], Number(origin[2])];
  return call.getFileName() ? [call.getFileName(), call.getLineNumber()] : [null, null];
}

function record(error, relation) {
  if (!(error instanceof Error)) {
    return { errorType: null, errorMessage: String(error), stackTrace: [], causes: [], relation };
  }
  void error.stack;
  const calls = sites.get(error) || [];
  const causes = error.cause === undefined ? [] : [record(error.cause, 'cause')];
  return {
    errorType: error.name,
    errorMessage: error.message,
    stackTrace: calls.map((call) => [...file(call), name(call), null]).reverse(),
    causes: [...causes, ...(error.errors || []).map((member) => record(member, 'member'))],
    relation,
  };
}

process.on('uncaughtException', (error) => {
  process.stdout.write(`${JSON.stringify(record(error))}\n`);
});
