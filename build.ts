import { rmSync, writeFileSync } from 'node:fs'
import { build, type BuildOptions } from 'esbuild'
import { manPage } from './src/cli/man.ts'

/**
 * Two bundles. The client is bundled whole and split, because its start-up is what a person waits for: nothing that does
 * not draw loads Ink. The daemon and the simulator keep their packages outside: they start once.
 */
const common: BuildOptions = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22.14',
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
  define: { 'process.env.NODE_ENV': '"production"', 'globalThis.VOSCTL_FAULTS': 'false' },
}

rmSync('dist', { recursive: true, force: true })

await Promise.all([
  build({
    ...common,
    entryPoints: { 'cli/main': 'src/cli/main.ts' },
    outdir: 'dist',
    splitting: true,
    minifySyntax: true,
    chunkNames: 'cli/[name]-[hash]',
    external: ['ssh2', 'better-sqlite3', 'bufferutil', 'utf-8-validate'],
    alias: {
      'react-devtools-core': './src/cli/views/no-devtools.ts',
      // Only for polling, which is off; it would load child_process and https.
      'xmlhttprequest-ssl': './src/cli/views/no-devtools.ts',
    },
    // What is CommonJS inside the bundle still asks for Node's own modules by `require`.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';const require=__createRequire(import.meta.url);",
    },
  }),
  build({
    ...common,
    entryPoints: { 'daemon/main': 'src/daemon/main.ts' },
    outdir: 'dist',
    // Takes out the failpoints, which are empty calls here.
    minifySyntax: true,
    packages: 'external',
  }),
])

writeFileSync('dist/vosctl.1', manPage())
