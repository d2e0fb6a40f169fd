import type { Tensor } from '../../../tensor/tensor.js'
import { textEncoder, textEncoderConfig } from '../../../text/encoder.js'
import { clipText, clipTextConfig, finalNorm } from '../../../text/encoder-clip.js'
import type { Kind } from '../kind.js'
import { configured, fill, inputsOf, runOnce, traced, weightsOf } from './programs.js'

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

export const textEncoders: readonly Kind[] = [jointTransformer, clip]
