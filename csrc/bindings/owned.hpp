// An index that owns what it borrows, and cursors over it: what several binding files share.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "arrays.hpp"
#include "infgram/continuation.hpp"
#include "infgram/index.hpp"
#include "infgram/neighbours.hpp"

namespace infgram::bindings {

// (token_ids, counts, their sum), in the order of codes
inline py::tuple to_tuple(const Alphabet& alphabet, Histogram& histogram) {
    const auto codes = histogram.codes();
    Array<std::uint32_t> token_ids(static_cast<py::ssize_t>(codes.size()));
    Array<std::int64_t> counts(static_cast<py::ssize_t>(codes.size()));
    std::uint32_t* token_id = token_ids.mutable_data();
    std::int64_t* count = counts.mutable_data();
    std::int64_t total = 0;
    for (const std::uint32_t code : codes) {
        *token_id++ = alphabet.token_id(code);
        total += * count++ = static_cast<std::int64_t>(histogram[code]);
    }
    return py::make_tuple(std::move(token_ids), std::move(counts), total);
}

// [(n, m), ...]
inline py::list to_list(const std::vector<IndexLevel>& levels) {
    py::list list(levels.size());
    for (std::size_t i = 0; i < levels.size(); ++i)
        list[i] = py::make_tuple(levels[i].n, levels[i].m);
    return list;
}

// (token_ids, contexts, counts, m), in the order of codes
inline py::tuple to_tuple(const Alphabet& alphabet, const ContinuationTable& table) {
    std::vector<std::uint32_t> token_ids;
    std::vector<std::uint32_t> contexts;
    std::vector<double> counts;
    for (const Continuation& token : table.tokens) {
        token_ids.push_back(alphabet.token_id(token.code));
        contexts.push_back(token.contexts);
        counts.push_back(token.count);
    }
    return py::make_tuple(to_array(token_ids), to_array(contexts), to_array(counts), table.m);
}

// Keeps the arrays alive that the index borrows; cursors and samplers keep it alive in turn.
template <class Code>
struct OwnedIndex {
    OwnedIndex(py::list borrowed, Index<Code> borrower)
        : arrays(std::move(borrowed)), index(std::move(borrower)) {}

    py::list arrays;
    Index<Code> index;
    mutable LazyNeighbours neighbours;  // of the index; made with use, by whichever thread
};

template <class Code>
using Owner = std::shared_ptr<const OwnedIndex<Code>>;

// A cursor may be shared by threads: its methods take turns. The lock is only ever waited for
// without the GIL, and given back before the GIL is asked for again.
template <class Code>
class Cursor {
public:
    Cursor(Owner<Code> owner, std::vector<Chain> chains, std::uint32_t window)
        : owner_(std::move(owner)), chains_(std::move(chains)), window_(window) {
        for (Chain& chain : chains_) trim(chain, window_);
    }
    Cursor(const Cursor& other) : Cursor(other.owner_, other.chains(), other.window_) {}

    template <class Token>
    void read(std::span<const Token> tokens) {
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        for (const Token token : tokens) owner_->index.advance_chains(chains_, token, window_);
    }
    void start_document() {
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        chains_ = owner_->index.start_of_document();
    }
    [[nodiscard]] std::vector<Chain> chains() const {
        const py::gil_scoped_release release;
        const std::scoped_lock lock(mutex_);
        return chains_;
    }
    [[nodiscard]] py::list levels() const {
        std::vector<IndexLevel> levels;
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            levels = owner_->index.levels(chains_);
        }
        return to_list(levels);
    }

    // Next-token counts of the i-th level, or of the whole corpus where i is the number of levels:
    // its n, and (token_ids, counts, m).
    [[nodiscard]] py::tuple next_tokens(std::size_t level) const {
        std::optional<Histogram> histogram;
        std::uint32_t n = 0;
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            const Rows rows = this->rows(level);
            n = rows.n;
            histogram = owner_->index.next_tokens(rows.ranges);
        }
        return py::make_tuple(n, to_tuple(owner_->index.alphabet(), *histogram));
    }

    // (token_ids, contexts, counts, m) of a level, or of the empty context where `level` is the
    // number of levels.
    [[nodiscard]] py::tuple continuations(std::size_t level, double exponent) const {
        ContinuationTable table;
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            const auto shards = owner_->index.shards();
            const Rows rows = this->rows(level);
            const std::uint32_t n = std::min(rows.n, max_context);
            ContinuationCounter counter(owner_->index.alphabet().n_codes(), FixedPower(exponent));
            for (std::size_t s = 0; s < shards.size(); ++s)
                if (!rows.ranges[s].empty()) counter.add(shards[s], rows.ranges[s], n);
            counter.finish(table);
        }
        return to_tuple(owner_->index.alphabet(), table);
    }

    // Rows of (shard, n, begin, end).
    [[nodiscard]] Array<std::int64_t> state() const {
        std::vector<std::int64_t> flat;
        const std::vector<Chain> chains = this->chains();
        for (std::size_t s = 0; s < chains.size(); ++s)
            for (const Level& level : chains[s])
                flat.insert(flat.end(), {static_cast<std::int64_t>(s), level.n, level.range.begin,
                                         level.range.end});
        return to_array(flat);
    }
    [[nodiscard]] std::uint32_t window() const { return window_; }
    static std::unique_ptr<Cursor> restore(const Owner<Code>& owner,
                                           std::span<const std::int64_t> state,
                                           std::uint32_t window) {
        const auto shards = owner->index.shards();
        std::vector<Chain> chains(shards.size());
        if (state.size() % 4 != 0) throw InvalidParameter("not the state of a cursor");
        for (std::size_t i = 0; i < state.size(); i += 4) {
            const std::int64_t s = state[i];
            const std::int64_t n = state[i + 1];
            const std::int64_t begin = state[i + 2];
            const std::int64_t end = state[i + 3];
            if (s < 0 || s >= static_cast<std::int64_t>(shards.size()) || n < 1 || n > window ||
                begin < 0 || begin >= end || end > shards[static_cast<std::size_t>(s)].n_rows())
                throw InvalidParameter("not the state of a cursor of this index");
            Chain& chain = chains[static_cast<std::size_t>(s)];
            const Level level{static_cast<std::uint32_t>(n),
                              {static_cast<Row>(begin), static_cast<Row>(end)}};
            if (!chain.empty() && !is_wider(level, chain.back()))
                throw InvalidParameter("not the state of a cursor: its levels are out of order");
            chain.push_back(level);
        }
        return std::make_unique<Cursor>(owner, std::move(chains), window);
    }
    [[nodiscard]] const Owner<Code>& owner() const { return owner_; }

private:
    // The i-th level: tokens of context, and one range a shard.
    struct Rows {
        std::uint32_t n = 0;
        std::vector<Range> ranges;
    };
    [[nodiscard]] Rows rows(std::size_t level) const {
        Rows found;
        std::vector<Range> scratch;
        std::size_t i = 0;
        for_each_level(owner_->index.shards(), std::span<const Chain>(chains_), -1, scratch,
                       [&](std::uint32_t n, std::uint64_t, std::span<const Range> at) {
                           if (i++ == level) found = {n, {at.begin(), at.end()}};
                       });
        if (level > i)
            throw InvalidParameter("level is " + std::to_string(level) + ", expected 0 to " +
                                   std::to_string(i));
        if (level == i)
            for (const auto& shard : owner_->index.shards()) found.ranges.push_back(shard.all());
        return found;
    }

    Owner<Code> owner_;
    std::vector<Chain> chains_;
    std::uint32_t window_;
    mutable std::mutex mutex_;
};

}  // namespace infgram::bindings
