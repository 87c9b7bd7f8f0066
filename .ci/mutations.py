#!/usr/bin/env python3
"""Breaks each guarantee once and checks that the test named for it notices.

Usage: .ci/mutations.py [NAME ...]   (in a clean checkout; works in a copy under target/mutations)
       .ci/mutations.py --check      (only looks whether each still applies, and whether docs/DESIGN.md has its row)

Prints a Markdown table, which docs/DESIGN.md keeps. Exits with 1 when a mutation is not noticed or no longer applies.
"""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "mutations" / "checkout"

# name, what is broken, file, text, replacement, test that must fail
MUTATIONS = [
    ("watermark", "the durable watermark is never advanced", "src/log/slots.rs",
     "        last.sync(file)?;\n        last.change(file, self.signature, change)\n",
     "        last.sync(file)?;\n        drop(change);\n        Ok(())\n", "damage"),
    ("one-slot", "a slot is written over the one that is durable", "src/log/slots.rs",
     "            self.page = 1 - self.page;", "            self.page = 0;", "power_cut"),
    ("segment-dir-sync", "a new segment's name is not synced", "src/log/prepare.rs",
     'storage.sync_dir(dir).map_err(IoError::context("sync", dir))?;', "", "power_cut"),
    ("shard-dir-sync", "a new shard directory's name is not synced", "src/log/shard_dir.rs",
     'storage.sync_dir(parent).map_err(IoError::context("sync", parent))?;', "let _ = parent;", "power_cut"),
    ("manifest-sync", "a manifest is renamed before it is synced", "src/sys/storage.rs",
     "        file.sync_data()?;\n        storage.rename", "        storage.rename", "power_cut"),
    ("found-names-sync", "names left by a killed process are used before they are durable", "src/store/open.rs",
     "vec![layout.root().to_owned(), streams]", "vec![layout.root().to_owned()]", "power_cut"),
    ("found-frames-sync", "recovered records are served before they are durable", "src/log/recovery/examine.rs",
     "self.synced.ensure(context)?;\n            // Files", "// Files", "recovery_syncs"),
    ("trust-killed-recovery", "what a killed recovery has sealed is used before that is durable", "src/log/recovery/examine.rs",
     "slot.state == SlotState::Sealed && by_recovery(slot)", "slot.state == SlotState::Open && by_recovery(slot)", "power_cut"),
    ("reuse-numbers", "after an unclean stop numbers go on behind the last record found", "src/log/recovery/mod.rs",
     "self.next = if whole { extent.next } else { self.bound };", "self.next = extent.next;", "power_cut"),
    ("forget-span", "a segment behind which nothing is left is taken for whole", "src/log/recovery/mod.rs",
     "let whole = around.next_base == Some(extent.next);",
     "let whole = !around.last && around.next_base.is_none_or(|next| next == extent.next);", "columns"),
    ("seal-early", "a segment is sealed before it is known above which number", "src/log/recovery/mod.rs",
     "if whole || around.later_durable {", "if whole || !around.last && around.next_base.is_none() {", "columns"),
    ("no-wait", "Immediate returns without waiting for the sync", "src/stream/core.rs",
     "            shard.log.sync_to(target)?;", "            let _ = target;", "power_cut"),
    ("stay-clean", "a cleanly closed segment is written without saying so first", "src/log/active.rs",
     "if !self.marked_clean {", "if true {", "power_cut"),
    ("unsynced-change", "a slot that must be durable first is only written", "src/log/slots.rs",
     "        last.change(file, self.signature, change)?;\n        last.sync(file)?;\n",
     "        last.change(file, self.signature, change)?;\n", "power_cut"),
    ("orphans", "records behind a lost tail are kept", "src/log/recovery/mod.rs",
     "self.orphaning |= !durable_here && !around.later_durable;", "let _ = durable_here;", "power_cut"),
    ("durable-readers", "a durable reader sees what is not durable", "src/log/cursor.rs",
     "self.level == ReadLevel::Durable || self.log.poison().is_some()", "self.log.poison().is_some()", "power_cut"),
    ("trim-point", "segments are removed before the trim point is durable", "src/log/trim.rs",
     ".change_slot(&self.context, |slot| slot.trim = slot.trim.max(keep_from))",
     ".sync_slot(&self.context)", "retention"),
    ("untold-trim", "a segment that is begun during a trim does not have the trim point", "src/log/trim.rs",
     "        self.appender.lock().set_trim(keep_from);\n", "", "read_only"),
    ("retry-sync", "a failed sync poisons nothing", "src/log/shard_log.rs",
     "        let error = self.poison.get_or_init(|| error).clone();\n        self.tell_failed(&error);\n", "", "failing_sync"),
    ("opening-is-final", "a file that cannot be opened to be synced counts as a failed sync", "src/log/segment.rs",
     "            true => SyncFault::NotOpened(source),", "            true => SyncFault::Failed(source),", "failing_sync"),
    ("full-unsynced", "full segments that nobody syncs stay mapped", "src/log/append.rs",
     "if !self.rolled_sync_scheduled && has_to_be_synced(&self.unsynced) {",
     "if !self.rolled_sync_scheduled && has_to_be_synced(&self.unsynced) && false {", "reopen"),
    ("followers-told-ok", "who waits for a sync that fails is told that it worked", "src/log/commit.rs",
     "            if let Some(error) = &state.failed {\n                return Err(error.clone());\n            }\n            let round",
     "            if state.failed.is_some() {\n                return Ok(());\n            }\n            let round", "failing_sync"),
    ("read-poisoned", "a poisoned shard shows what is not durable", "src/log/cursor.rs",
     "self.level == ReadLevel::Durable || self.log.poison().is_some()", "self.level == ReadLevel::Durable", "failing_sync"),
    ("held-parents", "shards take records while they are being split", "src/store/reshard.rs",
     "parent.log.hold().ok_or(StreamError::Closed)?", "parent.log.tip()", "resharding"),
    ("parents-first", "a child counts from 0 instead of behind its parents", "src/store/reshard.rs",
     "first = first.max(next);", "first = 0; let _ = next;", "resharding"),
    ("dropped-twice", "a closed shard's directory goes before the manifest forgets it", "src/store/reshard.rs",
     "        self.change_shards(core, |manifest| {\n            manifest.shards.retain",
     "        for shard in &dropped { self.remove_shard_dir(core, shard.id)?; }\n        self.change_shards(core, |manifest| {\n            manifest.shards.retain",
     "resharding"),
    ("dropped-successor", "a closed shard's directory goes although the stream is another by then", "src/store/shared.rs",
     "if state.stream_of(core).is_err() {", "if false {", "delete"),
    ("roll-first", "on a full disk nothing goes before an idle segment has a successor", "src/stream/retention.rs",
     "    retained.note(trim());\n    if shard", "    if shard", "retention"),
    ("empty-first", "a closed shard without records goes before its parents", "src/stream/retention.rs",
     "if is_empty && !shard.lineage.parents().any(|parent| kept.contains(&parent)) {", "if is_empty {", "resharding"),
    ("prepared-twice", "a segment is prepared although somebody has made it meanwhile", "src/log/prepare.rs",
     "                _ => return,\n", "                _ => *state = State::Running,\n", "async"),
    ("ended-open", "the last segment of a shard that has ended stays open and mapped", "src/log/shard_jobs.rs",
     "let active = self.appender.lock().give_up_active();", "let active: Option<Arc<Segment>> = None;", "many_shards"),
    ("all-open", "segments' files stay open however many there are", "src/log/files.rs",
     "if recent.len() > self.cap {", "if recent.len() > self.cap && self.cap == 0 {", "many_shards"),
    ("children-first", "a consumer reads children before their parents are finished", "src/consumer/lineage.rs",
     "!finished(shard.id) && !waits(shard)", "!finished(shard.id) && !(false && waits(shard))", "consumers"),
    ("lost-leases", "a worker that has lost a shard makes checkpoints of it", "src/consumer/group.rs",
     "state.leases.holds(step.shard_id, step.lease));", "state.leases.holds(step.shard_id, step.lease) || true);", "consumers"),
    ("checkpoint-wait", "an Immediate checkpoint returns without waiting for the sync", "src/consumer/group.rs",
     "                if !self.sync_to(target)? {", "                if target == u64::MAX {", "consumers_power_cut"),
    ("checkpoint-close", "a closing consumer takes checkpoints behind its last sync", "src/consumer/group.rs",
     "        self.enter(Phase::Closing);\n", "", "consumers"),
    ("checkpoint-file-sync", "a consumer's file is renamed before it is synced", "src/consumer/file.rs",
     "        file.sync_data()?;\n        self.storage.rename", "        self.storage.rename", "consumers_power_cut"),
    ("checkpoint-file-name", "a consumer's file is used before its name is durable", "src/consumer/file.rs",
     "            Some(parent) => self.storage.sync_dir(parent).map_err(", "            Some(parent) => Ok(()).map_err(", "consumers_power_cut"),
    ("unwoken", "a put does not wake those who poll", "src/log/session.rs",
     "        watchers.wake();", "        drop(watchers);", "consumers"),
    ("unbound", "checksums are not bound to the segment", "src/log/header.rs",
     "Signature(crc32fast::hash(&self.id))", "Signature(0)", "damage"),
    ("unchecked", "bodies are not verified on reading", "src/stream/reader.rs",
     "Self { check: Check::All,", "Self { check: Check::Header,", "damage"),
    ("publish-first", "a frame is published before it is written", "src/sys/region.rs",
     "        let next = start + len.next_multiple_of(FRAME_ALIGNMENT);\n",
     "        let next = start + len.next_multiple_of(FRAME_ALIGNMENT);\n        self.region.published.publish(next);\n", "concurrent"),
    ("found-slot", "a slot that recovery has found is taken for durable", "src/log/slots.rs",
     "        let standing = if is_synced {", "        let standing = if true || is_synced {", "recovery_syncs"),
    ("unwiped", "bytes of a record whose writing failed stay behind", "src/log/frame/draft.rs",
     "                            slot.wipe();\n", "", "big_records"),
    ("believed-cache", "what a failed sync was to write is believed because it reads as written", "src/log/recovery/ahead.rs",
     "                    doubt::settle(&*file, slot.map(|slot| (self.page, slot)), frames.clone())",
     "                    doubt::settle(&*file, slot.map(|slot| (self.page, slot)), frames.end..frames.end)", "failing_sync"),
    ("believed-slot", "a slot that a failed sync was to write is believed", "src/log/recovery/ahead.rs",
     "slot.map(|slot| (self.page, slot))", "slot.filter(|_| false).map(|slot| (self.page, slot))", "failing_sync"),
    ("unmarked", "a file whose sync has failed is not marked", "src/log/slots.rs",
     "self.is_marked || doubt::mark(file, free).is_ok();", "self.is_marked || (file, free).1 > 1;", "failing_sync"),
    ("found-names", "names of segments that recovery has found are taken for durable", "src/log/recovery/mod.rs",
     "    if !syncs.is_empty() {", "    if false {", "recovery_syncs"),
    ("found-trim", "segments that a killed process was trimming are removed before the decision is durable", "src/log/recovery/mod.rs",
     "        decided.ensure_synced(context)?;", "        let _ = decided;", "retention"),
    ("zeros-of-closed", "a log that was closed writes zeros ahead into its successor's segment", "src/log/append.rs",
     "if let (Gate::Open, None, Some(active)) = (self.gate, place.poison.get(), &mut self.active) {",
     "if let Some(active) = &mut self.active {", "columns"),
    ("backwards", "times follow a clock that goes back", "src/log/append.rs",
     "        now.max(self.last_time)\n", "        now\n", "retention"),
    ("sparse", "space is not reserved", "src/sys/os.rs",
     "        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {\n            Ok(()) => Ok(()),",
     "        let _ = FallocateFlags::empty();\n        match self.0.set_len(len).map_err(|_| rustix::io::Errno::IO) {\n            Ok(()) => Ok(()),", "full_disk"),
    ("large-folios", "a segment's pages come from one large write", "src/sys/os.rs",
     "            Ok(()) => Ok(()),\n            Err(rustix::io::Errno::OPNOTSUPP)",
     "            Ok(()) => self.0.write_all_at(&vec![0; usize::try_from(len).unwrap_or(0)], 0),\n            Err(rustix::io::Errno::OPNOTSUPP)", "synced_append_size"),
    ("scan-nothing", "recovery does not look above the watermark", "src/log/recovery/examine.rs",
     "let (extent, tail) = if settled || short {", "let (extent, tail) = if true || settled || short {", "kill"),
    ("overtake-in-batch", "a short record goes in where a longer one before it found no room", "src/write/stream_sink.rs",
     "self.put_records_in_order(&records)", "self.put_records(&records)", "writer"),
    ("overtake-retry", "items do not wait for an earlier one of their key that is tried again", "src/write/schedule.rs",
     "if self.held.is_empty() { None } else { self.held.get(item.key()) }", 'self.held.get(&b"none"[..])', "writer"),
    ("flush-no-sync", "a writer's flush does not sync the stream", "src/write/stream_sink.rs",
     "Ok(self.sync()?)", "Ok(())", "writer"),
    ("key-by-place", "a remembered key is not compared, but for its length", "src/stream/key_cache.rs",
     "entry.text.get(..usize::from(entry.len)) == Some(key.as_bytes());",
     "usize::from(entry.len) == key.len();", "routing"),
]


def run(name, path, text, replacement, test):
    source = COPY / path
    before = source.read_text()
    if before.count(text) != 1:
        return f"does not apply: {before.count(text)} places"
    source.write_text(before.replace(text, replacement))
    try:
        command = ["cargo", "test", "--quiet", "--all-features", "--test", test]
        target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target" / "mutations" / "target")
        env_target = ["env", f"CARGO_TARGET_DIR={target}", "RUST_BACKTRACE=0", "RIVERBED_POWERCUT_HISTORIES=4000"]
        built = subprocess.run([*env_target, *command, "--no-run"], cwd=COPY, capture_output=True, text=True)
        if built.returncode != 0:
            return "does not compile: " + built.stderr[-400:]
        try:
            ran = subprocess.run([*env_target, *command], cwd=COPY, capture_output=True, text=True, timeout=600)
        except subprocess.TimeoutExpired:
            return "noticed (hangs)"
        return "noticed" if ran.returncode != 0 else "NOT NOTICED"
    finally:
        source.write_text(before)


def check():
    """What is wrong with the list itself."""
    documented = (ROOT / "docs" / "DESIGN.md").read_text()
    for name, _, path, text, _, _ in MUTATIONS:
        places = (ROOT / path).read_text().count(text)
        if places != 1:
            yield f"{name}: its text is in {places} places of {path}"
        if f"(`{name}`)" not in documented:
            yield f"{name}: has no row in docs/DESIGN.md"


def main():
    wanted = sys.argv[1:]
    if wanted == ["--check"]:
        problems = list(check())
        for problem in problems:
            print(problem)
        sys.exit(1 if problems else 0)
    if COPY.exists():
        shutil.rmtree(COPY)
    COPY.mkdir(parents=True)
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for file in filter(None, files):
        (COPY / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, COPY / file)
    failed = False
    print("| guarantee broken on purpose | test | outcome |\n|---|---|---|", flush=True)
    for name, what, path, text, replacement, test in MUTATIONS:
        if wanted and name not in wanted:
            continue
        outcome = run(name, path, text, replacement, test)
        failed |= not outcome.startswith("noticed")
        print(f"| {what} (`{name}`) | `tests/{test}.rs` | {outcome} |", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
