'use strict'

// Written so that any Node can parse it: the one thing an old Node has to be able to do here is to say what is wrong.
module.exports = function checkNode(name, entry) {
  var found = process.versions.node.split('.').map(Number)
  if (found[0] > 22 || (found[0] === 22 && found[1] >= 14)) return require('./start.js')(entry)
  process.stderr.write(
    name +
      ': needs Node 22.14 or newer, found ' +
      process.versions.node +
      ' (' +
      process.execPath +
      '). Run it with its own runtime: npm ci, then npx ' +
      name +
      '\n',
  )
  process.exitCode = 7
}
