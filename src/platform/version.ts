/** The version of this latentkit, as in its package.json. */
export const version = '0.1.0'
