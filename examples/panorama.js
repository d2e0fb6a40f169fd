// A picture wider than any in training, whose right end goes on at the left: node panorama.js
import { load, panorama } from 'latentkit'

const model = await load()

// Windows of the size of training, painted together; `by: 'convolution'` runs the network over all at once instead.
const wide = await panorama(model, 'castle, noto emoji', { width: 3 * model.size, seamless: 'x', seed: 7 }).image()
await wide.save('panorama.png')

await model.dispose()
