// What V8 holds: a whole heap snapshot, searched while it streams. That is all that scripts reach. The
// text of a field is not in it until a script reads it, nor is memory that was freed and not yet used
// again: no page can wipe that.

// How often each needle stands in it.
export async function inHeap(client, needles) {
  await client.send('HeapProfiler.enable');
  // Twice, because what the first round frees may have held more.
  await client.send('HeapProfiler.collectGarbage');
  await client.send('HeapProfiler.collectGarbage');
  const counts = Object.fromEntries(Object.keys(needles).map((name) => [name, 0]));
  const longest = Math.max(...Object.values(needles).map((needle) => needle.length));
  let [tail, size] = ['', 0];
  const search = ({ chunk }) => {
    size += chunk.length;
    const text = tail + chunk;
    for (const [name, needle] of Object.entries(needles)) {
      for (let at = text.indexOf(needle); at >= 0; at = text.indexOf(needle, at + 1)) {
        // One that lies wholly in the tail has been counted.
        if (at + needle.length > tail.length) counts[name] += 1;
      }
    }
    tail = text.slice(-(longest - 1));
  };
  client.on('HeapProfiler.addHeapSnapshotChunk', search);
  await client.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  client.off('HeapProfiler.addHeapSnapshotChunk', search);
  await client.send('HeapProfiler.disable');
  if (size < 100_000) throw new Error(`a heap snapshot of ${size} characters`);
  return counts;
}
