/** Stands in for `react-devtools-core` in the bundle: Ink asks for it only with DEV=true, and it is not installed. */
const noDevtools = { initialize: () => {}, connectToDevTools: () => {} }

export default noDevtools
