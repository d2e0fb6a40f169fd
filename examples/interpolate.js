// The frames between two prompts and two seeds: node interpolate.js
import { interpolate, load } from 'latentkit'

const model = await load()

const way = { toPrompt: 'yellow star, noto emoji', seed: 7, toSeed: 8, frames: 8 }
for await (const event of interpolate(model, 'red heart, noto emoji', way))
  if (event.type === 'image') await event.image.save(`frame-${event.index}.png`)

await model.dispose()
