export { locate } from './locate.js'
export { type PullEvent, type PullOptions, pull } from './pull.js'
