import { embedding } from '../nn/embedding.js'
import { linear } from '../nn/linear.js'
import { timestepEmbedding } from '../nn/timestep.js'
import { silu } from '../tensor/activation.js'
import { add } from '../tensor/binary.js'
import type { Scope } from '../tensor/program.js'
import { mean } from '../tensor/reduce.js'
import type { Tensor } from '../tensor/tensor.js'
import type { UnetConfig } from './config.js'

interface Conditions {
  t: Tensor
  context?: Tensor | undefined
  y?: Tensor | undefined
}

/** The vector that every residual block gets: time, and what y and the pooled context add. [batch, 4 * model_channels]. */
export function conditionEmbedding(at: Scope, config: UnetConfig, { t, context, y }: Conditions): Tensor {
  const width = 4 * config.model_channels
  const time = at('time_embed')
  let emb = time.mark(mlp(time, timestepEmbedding(t, config.model_channels), width))
  if (y !== undefined || config.num_classes != null) emb = add(emb, labelEmbedding(at('label_emb'), config, y, width))
  if (config.pooled_context) {
    if (context === undefined) throw new TypeError('unet: pooled_context is set but no context is given')
    emb = add(emb, linear(at('pooled_context'), mean(context, { axes: 1 }), { out: width }))
  }
  return emb
}

const mlp = (at: Scope, x: Tensor, out: number): Tensor => linear(at('2'), silu(linear(at('0'), x, { out })), { out })

function labelEmbedding(at: Scope, config: UnetConfig, y: Tensor | undefined, width: number): Tensor {
  const kind = config.num_classes
  if (y === undefined || kind == null) {
    throw new TypeError(`unet: num_classes is ${kind ?? 'not set'}, so y must ${kind == null ? 'not ' : ''}be given`)
  }
  if (typeof kind === 'number') return embedding(at, y, { count: kind, width })
  if (kind === 'continuous') return linear(at, y, { out: width })
  if (kind === 'timestep') return mlp(at('1'), timestepEmbedding(y, config.model_channels), width)
  if (y.shape[1] !== config.adm_in_channels) {
    throw new RangeError(
      `unet: y has shape [${y.shape.join(', ')}], wanted [batch, ${config.adm_in_channels}] (adm_in_channels)`,
    )
  }
  return mlp(at('0'), y, width)
}
