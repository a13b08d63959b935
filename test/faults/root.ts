/** The project: rigs run from a bundle too, so their own place tells nothing. npm starts everything here. */
export const ROOT = process.cwd()
