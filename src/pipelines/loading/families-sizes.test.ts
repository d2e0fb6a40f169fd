import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sizeOf } from '../../tensor/shape.js'
import { published } from '../../testing/published.js'
import { modelConfig } from '../model-config.js'
import { conditionProgram, denoisingProgram } from '../programs.js'

/**
 * Parameters of the UNet as the originals' classes have them (counted in torch by the configurations that generative-models
 * and stablediffusion publish), and of the text encoders as Hugging Face publishes them, without what nothing uses.
 */
const families = {
  sdxl: {
    'model.diffusion_model.': 2567463684,
    'conditioner.embedders.0.': 115972608,
    'conditioner.embedders.1.': 694659840,
  },
  'sdxl-refiner': { 'model.diffusion_model.': 2259526660, 'conditioner.embedders.0.': 694659840 },
  sd2: { 'model.diffusion_model.': 865910724, 'cond_stage_model.': 340387840 },
  'sd2-inpainting': { 'model.diffusion_model.': 865925124 },
  'sd2-depth': { 'model.diffusion_model.': 865913604 },
  'sd-x4-upscaler': { 'model.diffusion_model.': 473398020 },
  // By the configurations of CompVis' folders for diffusers, in its classes UNet2DModel, UNet2DConditionModel and LDMBertModel.
  'ldm-unconditional': { 'model.diffusion_model.': 274056163 },
  'ldm-super-resolution': { 'model.diffusion_model.': 113622563 },
  'ldm-text': { 'model.diffusion_model.': 872300484, 'cond_stage_model.': 542895360 },
}

for (const [family, parameters] of Object.entries(families)) {
  test(`${family} has the parameters of the original`, () => {
    const config = modelConfig.parse(published.find(other => other.family === family)!.config)
    const size = { width: 512, height: 512 }
    const all = [denoisingProgram(config, size), conditionProgram(config, size)].flatMap(
      program => program?.parameters ?? [],
    )
    const count = (prefix: string) =>
      all.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { shape }) => sum + sizeOf(shape), 0)
    const found = Object.fromEntries(Object.keys(parameters).map(prefix => [prefix, count(prefix)]))
    assert.deepEqual(found, parameters)
  })
}
