import { advance, get, load, moduleOf, repeat, set, valueType, vector, vectorCode } from './webassembly.js'

const address = 0
const count = 1
const floats = 2
const doubles = 3
/** An addition waits for the one before it in the same vector: eight vectors of two sums each. */
const sums = [4, 5, 6, 7, 8, 9, 10, 11]

/** Floats that the loop takes at a time: a multiple of these are summed. */
export const sumOfSquaresStep = sums.length * 2

/** WebAssembly of `sumOfSquares(address, steps) -> f64` over float32 numbers, summed in float64. */
export const sumOfSquaresModule = (): Uint8Array<ArrayBuffer> =>
  moduleOf('sumOfSquares', {
    parameters: [valueType.i32, valueType.i32],
    result: valueType.f64,
    vectors: 2 + sums.length,
    body: [
      ...repeat(count, [
        ...sums.flatMap((sum, i) => [
          ...(i % 2 === 0 ? [...get(address), ...load(i * 8), ...set(floats)] : upperHalf),
          ...addSquares(sum),
        ]),
        ...advance(address, sumOfSquaresStep * 4),
      ]),
      ...sums
        .slice(1)
        .flatMap(sum => [...get(sums[0]!), ...get(sum), ...vector(vectorCode.addDoubles), ...set(sums[0]!)]),
      ...[0, 1].flatMap(lane => [...get(sums[0]!), ...vector(vectorCode.laneOfDoubles), lane]),
      addF64,
    ],
  })

const addF64 = 0xa0
const upperBytes = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]
const upperHalf = [...get(floats), ...get(floats), ...vector(vectorCode.shuffle), ...upperBytes, ...set(floats)]
const addSquares = (sum: number): number[] => [
  ...[...get(floats), ...vector(vectorCode.toDoubles), ...set(doubles)],
  ...[...get(sum), ...get(doubles), ...get(doubles), ...vector(vectorCode.mulDoubles)],
  ...[...vector(vectorCode.addDoubles), ...set(sum)],
]
