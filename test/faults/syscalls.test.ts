import { testSample } from './sample.ts'

testSample('syscalls', { needs: 'strace' })
