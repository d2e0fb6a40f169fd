import { FileError, LatentkitError } from '../platform/errors.js'
import { type HostTensors, hostIntegers, hostTensor } from '../runtime/host-tensor.js'
import { sizeOf } from '../tensor/shape.js'
import { type ConditioningConfig, present } from './config.js'
import type { Asked, Numbers, Place, Reader, Specs, Stored, TrainingRecord } from './contract.js'

/** Turns records and requests into the numbers of all conditions of a model. */
export interface ConditionsReader {
  /** Whether any of the conditions can be left out, so that guidance can lead away from that. */
  readonly guides: boolean
  /** Numbers of a picture; `dropped` leaves out what can be. */
  ofRecord(record: TrainingRecord, place: Place, dropped?: boolean): Promise<Numbers>
  /** Numbers of a request and, as `negative`, of what guidance leads away from. */
  ofRequest(...asking: Parameters<Reader['ofRequest']>): Required<Pick<Asked, 'negative'>> & Asked
}

/** Opens the readers of a model's conditions; a LatentkitError says what is missing in what is stored. */
export function openReaders(config: ConditioningConfig | undefined, stored: Stored): ConditionsReader {
  const readers: readonly Reader[] = present(config).map(({ conditioning, config }) =>
    conditioning.reader(config, stored),
  )
  return {
    guides: readers.some(reader => reader.none !== undefined),
    async ofRecord(record, place, dropped = false) {
      const parts: Numbers[] = []
      for (const reader of readers)
        parts.push(dropped && reader.none ? reader.none(place) : await reader.ofRecord(record, place))
      return Object.assign({}, ...parts)
    },
    ofRequest(request, place, ...chance) {
      const asked = readers.map(reader => {
        const answer = reader.ofRequest(request, place, ...chance)
        return { negative: reader.none?.(place) ?? answer.positive, ...answer }
      })
      const finishers = asked.flatMap(({ finish }) => finish ?? [])
      const later = asked.flatMap(({ late }) => late ?? [])
      return {
        positive: Object.assign({}, ...asked.map(({ positive }) => positive)),
        negative: Object.assign({}, ...asked.map(({ negative, positive }) => negative ?? positive)),
        leftOut: asked.reduce((sum, { leftOut = 0 }) => sum + leftOut, 0),
        spoken: asked.find(({ spoken }) => spoken)?.spoken,
        late: later.length > 0 ? () => Object.assign({}, ...later.map(late => late())) : undefined,
        finish: picture => finishers.reduce((image, finish) => finish(image), picture),
      }
    },
  }
}

/** Opens the readers of a file's model; what is missing there becomes a FileError that names it. */
export function readersOf(file: string, config: ConditioningConfig | undefined, stored: Stored): ConditionsReader {
  try {
    return openReaders(config, stored)
  } catch (cause) {
    if (!(cause instanceof LatentkitError) || cause instanceof FileError) throw cause
    throw new FileError(file, cause.message, { cause })
  }
}

/** Puts the numbers of several samples together: [samples, ...] each. */
export function stack(specs: Specs, samples: readonly Numbers[]): HostTensors {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { dtype, shape }]) => {
      const length = sizeOf(shape)
      const all = new Float64Array(samples.length * length)
      for (const [i, numbers] of samples.entries()) {
        const given = numbers[name]
        if (given?.length !== length)
          throw new RangeError(`conditions: "${name}" has ${given?.length ?? 'no'} numbers, wanted ${length}`)
        all.set(given, i * length)
      }
      const full = [samples.length, ...shape]
      return [name, dtype === 'i64' ? hostIntegers(all, full) : hostTensor(Float32Array.from(all), full)]
    }),
  )
}
