'use strict'

// Loaded beside the program by `node --require`: on SIGUSR2 it collects garbage and writes what is left to PROBE_FILE.
// Nothing happens between two signals.
const { renameSync, writeFileSync } = require('node:fs')

process.on('SIGUSR2', () => {
  for (let turn = 0; turn < 3; turn++) globalThis.gc()
  const file = process.env.PROBE_FILE
  writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()))
  renameSync(`${file}.new`, file)
})
