// A large picture in two goes, small and then larger over it: node hires.js
import { hires, load } from 'latentkit'

const model = await load()

const castle = await hires(model, 'castle, noto emoji', { hires: 2, hiresStrength: 0.5, seed: 7 }).image()
await castle.save('castle.png')

await model.dispose()
