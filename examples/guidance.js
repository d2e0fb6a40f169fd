// How conditions lead, and what is saved of the network's work: node guidance.js
import { load } from 'latentkit'

const model = await load()
const prompt = 'red heart, noto emoji'
const ways = {
  plain: {},
  // Strong guidance that keeps the range of numbers and most of the deviation of a weaker one.
  strong: { guidance: 9, mimicScale: 4, guidanceRescale: 0.5 },
  // Only between two noise levels, where it helps most.
  interval: { guidance: 6, guidanceFrom: 5, guidanceTo: 0.3 },
  // CFG++ goes from 0 to 1.
  'cfg-plus-plus': {
    guidance: 0.8,
    guidanceMethod: /** @type {const} */ ('cfg++'),
    sampler: /** @type {const} */ ('ddim'),
  },
  // Away from the network with attention that sees only itself.
  pag: { pag: 2 },
  freeu: { freeu: /** @type {const} */ ('2') },
  // Half of the tokens where there are most, and the deep blocks at every second step.
  quick: { tokenMerging: 0.5, deepCache: 2 },
}
for (const [name, settings] of Object.entries(ways)) {
  const image = await model.generate(prompt, { seed: 7, steps: 20, ...settings }).image()
  await image.save(`guidance-${name}.png`)
}

await model.dispose()
