// Pictures that are near to one of a seed, or to a picture: node variations.js
import { load, variations } from 'latentkit'

const model = await load()

for await (const event of variations(model, 'red heart, noto emoji', { seed: 7, variationStrength: 0.2, count: 4 }))
  if (event.type === 'image') await event.image.save(`variation-${event.index}.png`)

const image = await model.generate('red heart, noto emoji', { seed: 7 }).image()
for await (const event of variations(model, 'red heart, noto emoji', { image, strength: 0.5, count: 2 }))
  if (event.type === 'image') await event.image.save(`near-${event.index}.png`)

await model.dispose()
