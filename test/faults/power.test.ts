import { describe, expect, it } from 'vitest'
import { EVERYTHING, File, Folder, NOTHING, type Fate } from './power/disk.ts'
import { parseStrace } from './power/strace.ts'
import { testSample } from './sample.ts'

testSample('power', { needs: 'strace' })

describe('the disk that loses its power', () => {
  const bytes = (length: number, value: number) => Buffer.alloc(length, value)
  const torn = (kept: number): Fate => {
    let sector = 0
    return { ...EVERYTHING, write: () => 'tears', sector: () => sector++ === kept }
  }

  it('keeps what was synced, and may lose what was written after it, its size included', () => {
    const file = new File(bytes(600, 1))
    file.write(0, bytes(100, 2))
    file.sync()
    file.write(500, bytes(600, 3))
    const durable = Buffer.concat([bytes(100, 2), bytes(500, 1)])
    expect(file.after(NOTHING)).toEqual(durable)
    expect(file.after(EVERYTHING)).toEqual(Buffer.concat([durable.subarray(0, 500), bytes(600, 3)]))
  })

  it('tears a write where its own sectors end, and not where the write began', () => {
    const file = new File(bytes(1536, 1))
    file.write(500, bytes(600, 2))
    // Sectors 0 (12 bytes of it), 1 (512) and 2 (76).
    expect(file.after(torn(0))).toEqual(Buffer.concat([bytes(500, 1), bytes(12, 2), bytes(1024, 1)]))
    expect(file.after(torn(1))).toEqual(Buffer.concat([bytes(512, 1), bytes(512, 2), bytes(512, 1)]))
    expect(file.after(torn(2))).toEqual(Buffer.concat([bytes(1024, 1), bytes(76, 2), bytes(436, 1)]))
  })

  it('may keep a later write and lose an earlier one', () => {
    const file = new File(bytes(8, 1))
    file.write(0, bytes(4, 2))
    file.write(4, bytes(4, 3))
    const fates = ['vanishes', 'survives'] as const
    let write = 0
    expect(file.after({ ...EVERYTHING, write: () => fates[write++] ?? 'tears' })).toEqual(
      Buffer.concat([bytes(4, 1), bytes(4, 3)]),
    )
  })

  it('loses the name of a synced file until its directory is synced, and may give back a name that was taken away', () => {
    const [old, file] = [new File(bytes(1, 1)), new File(bytes(1, 2))]
    const folder = new Folder(new Map([['wal', old]]))
    folder.set('key', file)
    folder.set('wal', null)
    file.sync()
    expect([...folder.after(NOTHING)]).toEqual([['wal', old]])
    folder.sync()
    expect([...folder.after(NOTHING)]).toEqual([['key', file]])
  })
})

it('reads calls of threads that interrupt one another, in the order in which they ended, and none that failed', () => {
  const log = [
    '7 openat(AT_FDCWD, "\\x2f\\x61", O_RDWR|O_CREAT, 0600) = 3',
    '7 pwrite64(3, "\\x00\\xff", 2, 4096 <unfinished ...>',
    '8 fsync(4)                          = 0',
    '8 unlink("\\x2f\\x62")              = -1 ENOENT (No such file or directory)',
    '7 <... pwrite64 resumed>)           = 2',
    '7 fsync(3)                          = ?',
    '7 +++ killed by SIGKILL +++',
  ].join('\n')
  expect([...parseStrace(log)]).toEqual([
    { name: 'openat', words: ['O_RDWR|O_CREAT', '0600'], strings: [Buffer.from('/a')], result: 3 },
    { name: 'fsync', words: ['4'], strings: [], result: 0 },
    { name: 'pwrite64', words: ['3', '2', '4096'], strings: [Buffer.of(0, 255)], result: 2 },
  ])
})
