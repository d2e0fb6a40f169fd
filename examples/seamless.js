// A texture that can be laid beside itself, on all sides: node seamless.js
import { load } from 'latentkit'

const model = await load()

const texture = await model.generate('rose, noto emoji', { seamless: 'xy', seed: 7 }).image()
await texture.save('texture.png')

await model.dispose()
