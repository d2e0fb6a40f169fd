// What a picture will be, while it is made: node previews.js [MODEL TAESD_DECODER]
import { writeFile } from 'node:fs/promises'
import { encodePng, load } from 'latentkit'

const [, , file, taesd] = process.argv
const model = await load(file)

// A TAESD decoder paints previews of Stable Diffusion's latents; of any model's latents the colours are known.
const settings = taesd ? { taesd } : { previewBy: /** @type {const} */ ('colours') }
for await (const event of model.generate('red heart, noto emoji', { seed: 7, previewEvery: 4, ...settings })) {
  if (event.type === 'step' && event.previews?.[0])
    await writeFile(`step-${event.step}.png`, await encodePng(event.previews[0]))
  if (event.type === 'image') await event.image.save('heart.png')
}

await model.dispose()
