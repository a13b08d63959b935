'use strict'

// What has to be settled before the first import, because libraries read it while they load.
module.exports = function start(entry) {
  // Set, not defaulted: a developer's shell says "development", and development React leaks.
  process.env.NODE_ENV = 'production'
  // Node would open a debugger, on a port for every user of the machine.
  process.on('SIGUSR1', () => {})
  // Socket.IO's libraries would print every packet, those with a password too.
  delete process.env.DEBUG
  // engine.io-client looks at it, and looking is what loads it: 40 ms for a socket that nobody uses here.
  delete globalThis.WebSocket
  useCompileCache(process.argv[2])
  return import(entry)
}

// In a directory of one's own: in the shared temporary directory another user could leave code for us to run.
function useCompileCache(command) {
  if (command === 'demo') return // promises to leave nothing outside its own directory
  try {
    const fs = require('node:fs')
    const cache = require('node:path').join(require('node:os').userInfo().homedir, '.cache')
    const directory = cache + '/vosctl'
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (![cache, directory].every((place) => isOurs(fs.statSync(place)))) return
    require('node:module').enableCompileCache(directory)
  } catch {
    // No home, or a read-only one: slower, nothing else.
  }
}

// What lies there is run.
function isOurs(stat) {
  return stat.isDirectory() && stat.uid === process.getuid() && (stat.mode & 0o022) === 0
}
