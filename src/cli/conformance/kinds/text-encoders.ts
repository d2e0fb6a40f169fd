import { z } from 'zod'
import type { Tensor } from '../../../tensor/tensor.js'
import { textEncoder, textEncoderConfig } from '../../../text/encoder.js'
import { clipText, clipTextConfig, clipTextProjection, finalNorm } from '../../../text/encoder-clip.js'
import { openClipEmbedding, openClipNorm, openClipText, openClipTextConfig } from '../../../text/encoder-openclip.js'
import type { Kind } from '../kind.js'
import { configured, diffusersLayout, fill, inputsOf, runOnce, traced, weightsOf } from './programs.js'

/** The transformer that LDM trains with its text-to-image model. */
const jointTransformer: Kind = {
  kind: 'text',
  recognises: ({ objects, config }) => objects.includes('TransformerEmbedder') && 'vocab_size' in config,
  async run(testCase, context) {
    const config = configured(textEncoderConfig, testCase.config)
    const inputs = await inputsOf(testCase)
    const program = traced(inputs, (at, given) =>
      Object.fromEntries(
        Object.entries(given).map(([name, tokens]) => [
          name.replace('tokens', 'embeddings'),
          textEncoder(at, config, tokens),
        ]),
      ),
    )
    return { files: await fill(testCase, await runOnce(context, program, await weightsOf(testCase), inputs)) }
  },
}

/** CLIP's text half by Hugging Face's names. */
const clip: Kind = {
  kind: 'text',
  recognises: ({ objects, config }) => objects === 'CLIPTextModel' && config.with_projection !== true,
  async run(testCase, context) {
    const config = configured(clipTextConfig, testCase.config.text_config)
    const inputs = await inputsOf(testCase)
    const program = traced(inputs, (at, given) => {
      const { last, hidden, pooled } = clipText(at, config, given.input_ids!)
      const [penultimate, beforeNorm] = hidden.slice(-2) as [Tensor, Tensor]
      return {
        last_hidden_state: last,
        penultimate_hidden_state: penultimate,
        penultimate_with_final_layer_norm: finalNorm(at, config, penultimate),
        last_before_final_layer_norm: beforeNorm,
        pooled,
      }
    })
    return { files: await fill(testCase, await runOnce(context, program, await weightsOf(testCase), inputs)) }
  },
}

const openClipCase = z.object({
  arch: openClipTextConfig.omit({ activation: true }),
  activation: openClipTextConfig.shape.activation,
})

/** CLIP's text half by OpenCLIP's names, and by Hugging Face's where the case has that layout too. */
const openClip: Kind = {
  kind: 'text',
  recognises: ({ config }) => openClipCase.safeParse(config).success,
  async run(testCase, context) {
    const { arch, activation } = openClipCase.parse(testCase.config)
    const inputs = await inputsOf(testCase)
    const named = ([last, penultimate, normalized, embedding]: readonly [Tensor, Tensor, Tensor, Tensor]) => ({
      last,
      penultimate,
      penultimate_with_ln_final: normalized,
      pooled_projected: embedding,
      encode_text: embedding,
    })
    const program = traced(inputs, (at, { input_ids }) => {
      const { last, hidden } = openClipText(at, { ...arch, activation }, input_ids!)
      const penultimate = hidden.at(-2)!
      return named([last, penultimate, openClipNorm(at, penultimate), openClipEmbedding(at, arch, last, input_ids!)])
    })
    const files = await fill(testCase, await runOnce(context, program, await weightsOf(testCase), inputs))
    const layout = await diffusersLayout(testCase)
    if (layout === undefined) return { files }
    const config = configured(clipTextConfig, layout.config)
    const again = traced(inputs, (at, { input_ids }) => {
      const { last, hidden, pooled } = clipText(at, config, input_ids!)
      const penultimate = hidden.at(-2)!
      const projected = clipTextProjection(at, pooled, arch.embed_dim)
      return named([last, penultimate, finalNorm(at, config, penultimate), projected])
    })
    const weights = await layout.weights!((name, shape) => ({ name, shape }))
    return { files, layouts: [await fill(testCase, await runOnce(context, again, weights, inputs))] }
  },
}

export const textEncoders: readonly Kind[] = [jointTransformer, clip, openClip]
