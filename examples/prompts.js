// Prompts as AUTOMATIC1111's web UI reads them: node prompts.js
import { a1111Weights, load, promptPhrases, promptStages } from 'latentkit'

const steps = 20
const prompts = {
  weights: '(red:1.3) heart with [yellow] stars, noto emoji',
  composition: 'red heart, noto emoji AND yellow star, noto emoji :0.6',
  schedule: '[red apple:green apple:0.3], noto emoji',
  turns: '[cat|dog] face, noto emoji',
}

const model = await load()
for (const [name, prompt] of Object.entries(prompts)) {
  for (const { text, weight } of promptPhrases(prompt)) {
    console.log(`${name}: a prompt that counts ${weight}`)
    // The first stages are enough to see what changes.
    for (const stage of promptStages(text, { steps }).slice(0, 3))
      console.log(`  up to step ${stage.until}:`, a1111Weights(stage.text))
  }
  const image = await model.generate(prompt, { seed: 7, steps, promptStyle: 'a1111' }).image()
  await image.save(`prompts-${name}.png`)
}
await model.dispose()
