import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import binaryen from 'binaryen'

const WASM = join(dirname(fileURLToPath(import.meta.url)), '../../www/pkg/tidesync_bg.wasm')
const ENTRANCE = 'session_handle'

/** The wall clock's reading at which {@link trappingEngine} dies. */
export const FATAL_MS = 1

/**
 * The engine as it ships, but that a turn traps, as a panic does, while the wall clock reads
 * {@link FATAL_MS}: the only way to make an engine die that has no known defect.
 */
export async function trappingEngine(): Promise<Buffer> {
  const module = binaryen.readBinary(await readFile(WASM))
  const { value: entrance, params, results } = entranceOf(module)
  const types = binaryen.expandType(params)
  const given = types.map((type, index) => module.local.get(index, type))
  const wallMs = module.local.get(types.lastIndexOf(binaryen.f64), binaryen.f64)
  const body = module.block(null, [
    module.if(module.f64.eq(wallMs, module.f64.const(FATAL_MS)), module.unreachable()),
    module.return(module.call(entrance, given, results)),
  ])
  module.addFunction('trapping', params, results, [], body)
  module.removeExport(ENTRANCE)
  module.addFunctionExport('trapping', ENTRANCE)
  const bytes = Buffer.from(module.emitBinary())
  module.dispose()
  return bytes
}

function entranceOf(module: binaryen.Module) {
  const exported = module.getExport(ENTRANCE)
  if (exported === 0) throw new Error(`the engine has no export ${ENTRANCE}`)
  const { value } = binaryen.getExportInfo(exported)
  return { value, ...binaryen.getFunctionInfo(module.getFunction(value)) }
}
