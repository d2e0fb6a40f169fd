// Four pictures of a sentence, each by its own seed: node text-to-image.js
import { load } from 'latentkit'

const model = await load() // the model that comes with latentkit; or load('sd-v1-5.safetensors')

for await (const event of model.generate('red heart, noto emoji', { seed: 7, count: 4 })) {
  if (event.type === 'step') console.log(`step ${event.step} of ${event.total}`)
  // The picture of a seed is the same whether it is made alone or among others.
  if (event.type === 'image') await event.image.save(`heart-${event.seed}.png`)
}

await model.dispose()
