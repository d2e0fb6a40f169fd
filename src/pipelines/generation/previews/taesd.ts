import { firstStageConfig } from '../../../autoencoder/config.js'
import { decodeFirstStage } from '../../../autoencoder/first-stage.js'
import { taesdFactor } from '../../../autoencoder/taesd.js'
import { locate } from '../../../hub/index.js'
import { pixelsToImage } from '../../../image/index.js'
import { circularProgram } from '../../../nn/circular.js'
import { FileError } from '../../../platform/errors.js'
import type { SourceLike } from '../../../platform/types.js'
import { hostTensor } from '../../../runtime/index.js'
import { trace } from '../../../tensor/program.js'
import { f32 } from '../../../tensor/tensor.js'
import { tinyAutoencoderRenames } from '../../../weights/diffusers/tiny-autoencoder.js'
import { expectTensors } from '../../../weights/expect-tensors.js'
import { openWeights } from '../../../weights/open-weights.js'
import { renamedFile } from '../../../weights/rename.js'
import { closingOnError } from '../../../weights/tensor-file.js'
import { factorOf } from '../../model-config.js'
import { joined } from '../noise.js'
import type { Stage } from '../stage.js'
import type { Previews } from './contract.js'

/**
 * Paints previews by a TAESD decoder: by itself as its author hands it out, or with its encoder, also by diffusers' names.
 *
 * @throws FileError where the file holds none, or one of other latents than the model's.
 */
export async function openTaesd({ device, latents, plan, model, signal }: Stage, from: SourceLike): Promise<Previews> {
  const opened = await openWeights(await locate(from))
  return closingOnError(opened, async () => {
    const half = [...opened.tensors.keys()].some(name => name.startsWith('decoder.'))
    const prefix = half ? '' : 'decoder.'
    const file = renamedFile(
      opened,
      (name, shape) => tinyAutoencoderRenames.toCompvis(prefix + name, shape) ?? { name: prefix + name, shape },
      'TAESD',
    )
    const [channels, height, width] = latents
    const first = file.tensors.get('decoder.1.weight')?.shape
    if (first?.length !== 4)
      throw new FileError(file.name, 'is no decoder of TAESD: it has no decoder.1.weight or 1.weight of a convolution')
    if (factorOf(model.config) !== taesdFactor || first[1] !== channels) {
      throw new FileError(
        file.name,
        `decodes latents of ${first[1]} channels, 8 pixels each; this model has ${channels} channels, ${factorOf(model.config)} pixels each`,
      )
    }
    const config = firstStageConfig.parse({ width: first[0], latent_channels: channels })
    const program = trace({ z: f32(-1, channels, height, width) }, (at, { z }) => ({
      images: decodeFirstStage(at, config, z),
    }))
    expectTensors(file, new Map(program.parameters.map(({ name, shape }) => [name, shape])), { what: 'the decoder' })
    const { seamless } = plan
    const run = await device.compile(seamless ? circularProgram(program, seamless) : program, { weights: file })
    return {
      async paint(all) {
        const z = hostTensor(joined(all), [all.length, ...latents])
        const pixels = (await run({ z }, { signal })).images!.data as Float32Array
        return all.map((_, index) => pixelsToImage(pixels, plan.width, plan.height, { index }))
      },
      async [Symbol.asyncDispose]() {
        await run.dispose()
        await file.close()
      },
    }
  })
}
