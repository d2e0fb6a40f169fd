// Pictures that lead a generation by networks beside a model: node adapters.js MODEL CONTROLNET T2I IP ENCODER PICTURE
import { readFile } from 'node:fs/promises'
import { decodeImage, load } from 'latentkit'

const [file, control, t2i, adapter, encoder, picture] = process.argv.slice(2)
if (!file || !control || !t2i || !adapter || !encoder || !picture)
  throw new Error('usage: node adapters.js MODEL CONTROLNET T2I IP ENCODER PICTURE')

const model = await load(file, {
  controls: [{ file: control, weight: 0.8 }],
  t2i: [{ file: t2i, weight: 0.5 }],
  imagePrompt: { file: adapter, encoder, weight: 0.6 },
})
const image = await decodeImage(await readFile(picture))
const settings = { hint: image, t2i: image, imagePrompt: image, controlTo: [0.7], seed: 7 }
await (await model.generate('a lighthouse, oil painting', settings).image()).save('adapted.png')

await model.dispose()
