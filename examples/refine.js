// The end of the way by another model: node refine.js sd_xl_base_1.0.safetensors sd_xl_refiner_1.0.safetensors
import { load } from 'latentkit'

const [, , baseFile, refinerFile] = process.argv
if (!baseFile || !refinerFile) throw new Error('Give a model, and another one that refines what it paints')

const base = await load(baseFile)
const refiner = await load(refinerFile)
// The base paints the first 80% of the way, what is left of the noise is the refiner's.
const picture = await base
  .generate('a lion on a rock at dusk', { refiner, refineFrom: 0.8, steps: 30, seed: 1, aestheticScore: 6 })
  .image()
await picture.save('lion.png')

await base.dispose()
await refiner.dispose()
