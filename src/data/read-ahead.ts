/** Values of a generator, `count` of them asked for before they are wanted, so that they are made in the meantime. */
export async function* readAhead<T>(values: AsyncGenerator<T, unknown>, count: number): AsyncGenerator<T> {
  const queue: Promise<IteratorResult<T, unknown>>[] = []
  try {
    for (;;) {
      while (queue.length <= count) {
        const next = values.next()
        // Told to the caller when its turn comes, if it ever does.
        next.catch(() => {})
        queue.push(next)
      }
      const { value, done } = await queue.shift()!
      if (done) return
      yield value
    }
  } finally {
    await values.return(undefined)
  }
}

/** Lets so many run at once; the others wait for their turn. */
export function atMost(count: number): <T>(work: () => Promise<T>) => Promise<{ done: Promise<T> }> {
  let running = 0
  const waiting: (() => void)[] = []
  return async work => {
    if (running === count) await new Promise<void>(free => waiting.push(free))
    else running++
    const done = work().finally(() => {
      const next = waiting.shift()
      if (next) next()
      else running--
    })
    done.catch(() => {})
    return { done }
  }
}

/** What `work` makes of values, in their order, with so many of them in work or waiting at once. */
export async function* mapAhead<A, B>(
  values: AsyncIterable<A>,
  work: (value: A) => Promise<B>,
  { atOnce, ahead }: { atOnce: number; ahead: number },
): AsyncGenerator<{ value: A; made: Promise<B> }> {
  async function* started() {
    const slot = atMost(atOnce)
    for await (const value of values) yield { value, made: (await slot(() => work(value))).done }
  }
  yield* readAhead(started(), ahead)
}
