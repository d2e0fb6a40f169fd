import { LatentkitError } from '../errors.js'
import type { World } from '../types.js'
import { alone } from '../world.js'

export async function joinWorld(): Promise<World> {
  const size = Number(process.env.OMPI_COMM_WORLD_SIZE ?? 1)
  if (size === 1) return alone
  const { MpiWorld } = await import('./mpi-world.js')
  const world = await MpiWorld.join()
  if (world.size !== size) throw new LatentkitError(`Open MPI joined ${world.size} processes; mpirun started ${size}`)
  return world
}
