'use strict'

// What has to be settled before the first import, because libraries read it while they load.
module.exports = function start(entry) {
  // Set, not defaulted: a developer's shell says "development", and development React leaks.
  process.env.NODE_ENV = 'production'
  chooseColour(process.env, process.argv)
  // engine.io-client looks at it, and looking is what loads it: 40 ms for a socket that nobody uses here.
  delete globalThis.WebSocket
  useCompileCache(process.argv[2])
  return import(entry)
}

// In a directory of one's own: in the shared temporary directory another user could leave code for us to run.
function useCompileCache(command) {
  if (command === 'demo') return // promises to leave nothing outside its own directory
  try {
    const directory = require('node:path').join(require('node:os').userInfo().homedir, '.cache', 'vosctl')
    require('node:fs').mkdirSync(directory, { recursive: true, mode: 0o700 })
    require('node:module').enableCompileCache(directory)
  } catch {
    // No home, or a read-only one: slower, nothing else.
  }
}

// chalk and Ink print colour on a terminal even with NO_COLOR; FORCE_COLOR=0 is what both obey.
function chooseColour(env, argv) {
  const flag = argv.findLast((word) => word === '--color' || word === '--no-color')
  const forced = env.CLICOLOR_FORCE && env.CLICOLOR_FORCE !== '0'
  if (flag === '--color') {
    delete env.NO_COLOR // Node itself warns on stderr about the two together
    env.FORCE_COLOR = '1'
  } else if (flag === '--no-color' || env.NO_COLOR || env.TERM === 'dumb') {
    env.FORCE_COLOR = '0'
  } else if (forced && !env.FORCE_COLOR) {
    env.FORCE_COLOR = '1'
  }
}
