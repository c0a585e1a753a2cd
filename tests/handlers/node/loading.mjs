// A function that fails while it is loaded.

throw new TypeError('no table is configured'); // mark: loading
