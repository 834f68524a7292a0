/** Where the WebAssembly module comes from. Apart from its loader, whose types the package does not publish. */

/** An address, or the module's bytes. */
export type ModuleSource = string | URL | BufferSource

/** Says where the module comes from; undefined for beside the package's script. */
export type EngineSource = () => ModuleSource | undefined
