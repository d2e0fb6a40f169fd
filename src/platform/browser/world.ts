import type { World } from '../types.js'
import { alone } from '../world.js'

export const joinWorld = async (): Promise<World> => alone
