import manifest from '../../package.json' with { type: 'json' }

/** The version of this vosctl, as its package says. */
export const VERSION: string = manifest.version
