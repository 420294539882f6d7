// Searches a heap snapshot of V8 while it streams. It contains everything that scripts reach. It does not
// contain the text of a field before a script reads it, nor freed memory, which no page can overwrite.

// Returns how often the heap contains each needle.
export async function countInHeap(client, needles) {
  await client.send('HeapProfiler.enable');
  // Twice, because objects that the first collection frees may have referred to others.
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
        // A match inside the tail was counted with the chunk before.
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
