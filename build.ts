import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { build, type BuildOptions, type Plugin } from 'esbuild'
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

/** What bundled packages ask for and do not use on our ways through them; TLS alone takes 4 ms to load. */
const SELDOM = ['child_process', 'https', 'tls', 'zlib']

/**
 * Node's own modules as the client asks for them. A plain `import` of one looks at every name that it exports, and looking
 * loads what lies behind: `fs` brings its promises and readline. Got by name, only what is used is loaded; what a package
 * seldom uses not even before it is used. For our own code, which names what it imports, that would be an empty module.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup(bundle) {
    bundle.onResolve({ filter: /^[a-z]/ }, ({ path, importer }) => {
      if (!isBuiltin(path)) return undefined
      const name = path.replace('node:', '')
      const isSeldom = SELDOM.includes(name) && importer.includes('/node_modules/')
      return { path: name, namespace: isSeldom ? 'seldom' : 'builtin', sideEffects: false }
    })
    bundle.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('node:${path}')`,
    }))
    bundle.onLoad({ filter: /.*/, namespace: 'seldom' }, ({ path }) => ({
      contents: `module.exports = new Proxy({}, { get: (_, name) => process.getBuiltinModule('node:${path}')[name] })`,
    }))
  },
}

/** Ink's layout would read its own bytes by `fetch`, which loads an HTTP client for 20 ms; without it they are decoded. */
const layoutWithoutFetch: Plugin = {
  name: 'layout-without-fetch',
  setup(bundle) {
    bundle.onLoad({ filter: /yoga-wasm-base64-esm\.js$/ }, ({ path }) => ({
      contents: `const fetch = undefined;${readFileSync(path, 'utf8')}`,
    }))
  },
}

rmSync('dist', { recursive: true, force: true })

await Promise.all([
  build({
    ...common,
    entryPoints: { 'cli/main': 'src/cli/main.ts' },
    outdir: 'dist',
    plugins: [lazyBuiltins, layoutWithoutFetch],
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
    entryPoints: { 'daemon/start': 'src/daemon/start.ts', 'daemon/main': 'src/daemon/main.ts' },
    outdir: 'dist',
    // What is off by default lies apart and is not loaded.
    splitting: true,
    chunkNames: 'daemon/[name]-[hash]',
    // Takes out the failpoints, which are empty calls here.
    minifySyntax: true,
    packages: 'external',
  }),
])

writeFileSync('dist/vosctl.1', manPage())
