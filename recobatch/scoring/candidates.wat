;; Finds the few items of every user whose bound may be among the best: the kernel of pruning.py, in WebAssembly's text.
;;
;; NumPy would pass over a block of scores eight times, through memory. Here each row is read twice, the second time from
;; the cache, and nothing is written but candidates. Places are in bytes, scores are float32, vectors hold four of them.
;;
;; "(bound N)" stands for the bounds of the four items N bytes after $raw and $interest; pruning.py writes it out, since
;; the compiler does not do so with a function. Bounds above zero are in the order of their bits, read as integers, and
;; all others are below them, but for NaN, which at worst gives a threshold that too few items reach.
(module
  (memory (export "memory") 0 65536)

  ;; It has no parameters, since each would cost 20 us in Python: they are at the beginning of the memory.
  (func (export "find")
    (local $raw i32)       ;; the first row of both kinds of scores
    (local $interest i32)
    (local $rows i32)
    (local $row_bytes i32) ;; of scores
    (local $k i32)
    (local $maxima i32)    ;; room for the maxima of groups of items, a multiple of 64 bytes, and its end
    (local $groups_end i32)
    (local $counts i32)    ;; for each row: how many candidates it has, and the bound that all of them reach
    (local $least i32)
    (local $items i32)     ;; for each row: $room bytes for the candidates' items and both scores
    (local $found_raw i32)
    (local $found_interest i32)
    (local $room i32)
    (local $masks i32)     ;; room for a bit for each item of a row, and 64 more

    (local $lowest v128) (local $highest v128) (local $offset v128) (local $share f32)
    (local $start i32) (local $end i32) (local $apart i32) (local $group i32) (local $n i32)
    (local $low i32) (local $high i32) (local $middle i32)
    (local $threshold v128) (local $sum v128)
    (local $bits i32) (local $bits_end i32) (local $word i64) (local $place i32)

    (local.set $raw (i32.load (i32.const 0)))
    (local.set $interest (i32.load (i32.const 4)))
    (local.set $rows (i32.load (i32.const 8)))
    (local.set $row_bytes (i32.load (i32.const 12)))
    (local.set $k (i32.load (i32.const 16)))
    (local.set $maxima (i32.load (i32.const 20)))
    (local.set $groups_end (i32.load (i32.const 24)))
    (local.set $counts (i32.load (i32.const 28)))
    (local.set $least (i32.load (i32.const 32)))
    (local.set $items (i32.load (i32.const 36)))
    (local.set $found_raw (i32.load (i32.const 40)))
    (local.set $found_interest (i32.load (i32.const 44)))
    (local.set $room (i32.load (i32.const 48)))
    (local.set $masks (i32.load (i32.const 52)))
    (local.set $lowest (v128.load32_splat (i32.const 56)))
    (local.set $highest (v128.load32_splat (i32.const 60)))
    (local.set $offset (v128.load32_splat (i32.const 64)))
    (local.set $share (f32.load (i32.const 68)))
    (local.set $apart (i32.sub (local.get $interest) (local.get $raw)))

    (loop $each_row
      (local.set $start (local.get $raw))
      (local.set $end (i32.add (local.get $raw) (local.get $row_bytes)))

      ;; The maximum of each group, neighbours in different ones; the last items that do not fill a step are left out.
      (memory.fill (local.get $maxima) (i32.const 0) (i32.sub (local.get $groups_end) (local.get $maxima)))
      (local.set $group (local.get $maxima))
      (block $all_grouped
        (loop $step
          (br_if $all_grouped (i32.gt_u (i32.add (local.get $raw) (i32.const 64)) (local.get $end)))
          (v128.store (local.get $group) (i32x4.max_s (v128.load (local.get $group)) (bound 0)))
          (v128.store offset=16 (local.get $group) (i32x4.max_s (v128.load offset=16 (local.get $group)) (bound 16)))
          (v128.store offset=32 (local.get $group) (i32x4.max_s (v128.load offset=32 (local.get $group)) (bound 32)))
          (v128.store offset=48 (local.get $group) (i32x4.max_s (v128.load offset=48 (local.get $group)) (bound 48)))
          (local.set $raw (i32.add (local.get $raw) (i32.const 64)))
          (local.set $interest (i32.add (local.get $interest) (i32.const 64)))
          (local.set $group (i32.add (local.get $group) (i32.const 64)))
          (if (i32.ge_u (local.get $group) (local.get $groups_end)) (then (local.set $group (local.get $maxima))))
          (br $step)))

      ;; Near the k-th largest maximum, from below, by halving: at least k items reach it.
      (local.set $low (i32.const 1))
      (local.set $high (i32.const 0x7f800000))
      (loop $halve
        (local.set $middle (i32.shr_u (i32.add (local.get $low) (local.get $high)) (i32.const 1)))
        (local.set $threshold (i32x4.splat (local.get $middle)))
        (local.set $sum (v128.const i32x4 0 0 0 0))
        (local.set $group (local.get $maxima))
        (loop $count
          (local.set $sum (i32x4.sub (local.get $sum) (i32x4.ge_s (v128.load (local.get $group)) (local.get $threshold))))
          (local.set $sum
            (i32x4.sub (local.get $sum) (i32x4.ge_s (v128.load offset=16 (local.get $group)) (local.get $threshold))))
          (local.set $sum
            (i32x4.sub (local.get $sum) (i32x4.ge_s (v128.load offset=32 (local.get $group)) (local.get $threshold))))
          (local.set $sum
            (i32x4.sub (local.get $sum) (i32x4.ge_s (v128.load offset=48 (local.get $group)) (local.get $threshold))))
          (br_if $count
            (i32.lt_u (local.tee $group (i32.add (local.get $group) (i32.const 64))) (local.get $groups_end))))
        (if (i32.ge_u
              (i32.add
                (i32.add (i32x4.extract_lane 0 (local.get $sum)) (i32x4.extract_lane 1 (local.get $sum)))
                (i32.add (i32x4.extract_lane 2 (local.get $sum)) (i32x4.extract_lane 3 (local.get $sum))))
              (local.get $k))
          (then (local.set $low (local.get $middle)))
          (else (local.set $high (local.get $middle))))
        (br_if $halve (i32.gt_u (i32.sub (local.get $high) (local.get $low)) (i32.const 0x1000)))) ;; 0.05 %
      (local.set $threshold (f32x4.splat (f32.mul (f32.reinterpret_i32 (local.get $low)) (local.get $share))))
      (f32.store (local.get $least) (f32x4.extract_lane 0 (local.get $threshold)))

      ;; Which items reach the threshold, a bit each, without a branch that could be guessed wrong.
      (local.set $raw (local.get $start))
      (local.set $interest (i32.add (local.get $start) (local.get $apart)))
      (local.set $bits (local.get $masks))
      (loop $step
        (i32.store16 (local.get $bits)
          (i8x16.bitmask
            (i8x16.narrow_i16x8_s
              (i16x8.narrow_i32x4_s
                (f32x4.ge (bound 0) (local.get $threshold)) (f32x4.ge (bound 16) (local.get $threshold)))
              (i16x8.narrow_i32x4_s
                (f32x4.ge (bound 32) (local.get $threshold)) (f32x4.ge (bound 48) (local.get $threshold))))))
        (local.set $bits (i32.add (local.get $bits) (i32.const 2)))
        (local.set $raw (i32.add (local.get $raw) (i32.const 64)))
        (local.set $interest (i32.add (local.get $interest) (i32.const 64)))
        (br_if $step (i32.lt_u (local.get $raw) (local.get $end))))
      (i64.store (local.get $bits) (i64.const 0))
      (local.set $bits_end (local.get $bits))

      ;; These items, in their order, and their scores.
      (local.set $bits (local.get $masks))
      (local.set $raw (local.get $start)) ;; of the first of 64 bits
      (local.set $n (i32.const 0))
      (loop $each_word
        (local.set $word (i64.load (local.get $bits)))
        (block $no_more
          (loop $hit
            (br_if $no_more (i64.eqz (local.get $word)))
            (local.set $place
              (i32.add (local.get $raw) (i32.shl (i32.wrap_i64 (i64.ctz (local.get $word))) (i32.const 2))))
            (br_if $no_more (i32.ge_u (local.get $place) (local.get $end))) ;; items of the next row
            (if (i32.lt_u (local.get $n) (local.get $room))
              (then
                (i32.store (i32.add (local.get $items) (local.get $n))
                  (i32.shr_u (i32.sub (local.get $place) (local.get $start)) (i32.const 2)))
                (f32.store (i32.add (local.get $found_raw) (local.get $n)) (f32.load (local.get $place)))
                (f32.store (i32.add (local.get $found_interest) (local.get $n))
                  (f32.load (i32.add (local.get $place) (local.get $apart))))))
            (local.set $n (i32.add (local.get $n) (i32.const 4)))
            (local.set $word (i64.and (local.get $word) (i64.sub (local.get $word) (i64.const 1))))
            (br $hit)))
        (local.set $raw (i32.add (local.get $raw) (i32.const 256)))
        (br_if $each_word
          (i32.lt_u (local.tee $bits (i32.add (local.get $bits) (i32.const 8))) (local.get $bits_end))))
      (i32.store (local.get $counts) (i32.shr_u (local.get $n) (i32.const 2)))

      (local.set $raw (local.get $end))
      (local.set $interest (i32.add (local.get $end) (local.get $apart)))
      (local.set $counts (i32.add (local.get $counts) (i32.const 4)))
      (local.set $least (i32.add (local.get $least) (i32.const 4)))
      (local.set $items (i32.add (local.get $items) (local.get $room)))
      (local.set $found_raw (i32.add (local.get $found_raw) (local.get $room)))
      (local.set $found_interest (i32.add (local.get $found_interest) (local.get $room)))
      (br_if $each_row (local.tee $rows (i32.sub (local.get $rows) (i32.const 1)))))))
