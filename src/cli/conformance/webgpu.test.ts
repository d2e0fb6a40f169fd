import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openDevice } from '../../runtime/index.js'
import { temporaryFolder } from '../../testing/temporary-folder.js'
import { encodeSafetensors, readSafetensors } from '../../weights/safetensors.js'
import { conformance } from './conformance.js'

const losses = fileURLToPath(new URL('../../../fixtures/conformance/training/losses_unconditional', import.meta.url))

/** Copies a case of losses with one of its variants alone: WebGPU in software takes half a minute for each. */
async function copyVariant(variant: string, folder: string): Promise<void> {
  await cp(losses, folder, { recursive: true })
  const about = JSON.parse(await readFile(join(folder, 'case.json'), 'utf8'))
  const others = about.config.variants.filter((name: string) => name !== variant)
  about.config.variants = [variant]
  await writeFile(join(folder, 'case.json'), JSON.stringify(about))
  for (const file of ['losses', 'gradient_norms', 'gradient_samples']) {
    const path = join(folder, `${file}.safetensors`)
    const { tensors } = readSafetensors(await readFile(path), path)
    const kept = [...tensors].filter(([name]) => !others.includes(name.split('.')[0]) && name !== 'v_target')
    await writeFile(path, encodeSafetensors(new Map(kept)))
  }
}

test('a loss and all its gradients are equal by WebGPU', async t => {
  const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json'
  if (existsSync(swiftShader)) process.env.VK_ICD_FILENAMES ??= swiftShader
  const device = await openDevice('webgpu').catch((error: Error) => error.message)
  if (typeof device === 'string') return t.skip(device)
  await device.dispose()
  const folder = await temporaryFolder(t)
  await copyVariant('eps_l2', folder)
  for await (const result of conformance(folder, { device: 'webgpu' })) {
    assert.equal(result.status, 'equal', JSON.stringify(result))
    assert.ok(result.total > 8)
  }
})
