import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

/** A test, or a file of tests, as far as its end can be waited for. */
interface Ending {
  after(last: () => Promise<void>): void
}

/** An empty folder until the given test ends, or all tests of the file. To be awaited before the first test: the runner ends when all it knows of have. */
export async function temporaryFolder(test: Ending = { after }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'latentkit-'))
  test.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}
