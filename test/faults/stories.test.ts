import { testStory } from './sample.ts'

const STRACE = { needs: 'strace' }

testStory(
  'a disk that fails at the first write of a daemon is named to the person, without a stack trace',
  'syscalls',
  /^restart fsync#1 EIO$/,
  STRACE,
)
testStory(
  'SIGTERM right after the start is heeded, it does not end the daemon in the middle of its recovery',
  'kills',
  /^restart (drain|server|store)[.]/,
)
testStory(
  'a disk that is full for one write while a house is made leaves no half of a database under its name',
  'syscalls',
  /^first steps pwrite64#8[789] ENOSPC$/,
  STRACE,
)
testStory(
  'a file that cannot be removed at the end does not end the daemon with a stack trace',
  'syscalls',
  /^restart unlink#[12] EIO$/,
  STRACE,
)
testStory(
  'a sealing key that cannot be put on disk is refused to whoever sets a password, and made when they try again',
  'syscalls',
  /^first steps fsync#3[6789] EIO$/,
  STRACE,
)
