/** What a page writes nobody else does. */
export const lockFile = async (): Promise<() => Promise<void>> => async () => {}
