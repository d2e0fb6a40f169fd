// Reads the files of the seeds that come, one after the other: what kills a reader kills this process alone.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trial } from './trial.js'

const folder = await mkdtemp(join(tmpdir(), 'latentkit-fuzz-'))
process.on('disconnect', () => rm(folder, { recursive: true, force: true }).then(() => process.exit()))
process.on('message', async seeds => {
  for (const seed of seeds) {
    process.send({ begun: seed })
    process.send({ outcome: await trial(seed, folder) })
  }
  process.send({ done: true })
})
process.send({ done: true })
