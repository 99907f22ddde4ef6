// Indexes and cursors whatever the width of their codes: one kind each. They are asked in token
// ids; what needs the width looks inside by `visit`.
//
// Thread-safety: as what is inside: all methods may run in parallel.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "infgram/contexts/cursor.hpp"
#include "infgram/contexts/index.hpp"
#include "infgram/contexts/side_by_side.hpp"
#include "infgram/contexts/spans.hpp"
#include "infgram/rows/line_ends.hpp"

namespace infgram {

// Token ids as callers have them: bytes, or numbers of 32 bits.
using Tokens = std::variant<std::span<const std::uint8_t>, std::span<const std::uint32_t>>;

template <template <class> class Of>
using OfAnyWidth = std::variant<Of<std::uint8_t>, Of<std::uint16_t>, Of<std::uint32_t>>;

class AnyCursor {
public:
    template <class Code>
    AnyCursor(Owner<Code> owner, std::vector<Chain> chains, std::uint32_t window)
        : of_(std::in_place_type<Cursor<Code>>, std::move(owner), std::move(chains), window) {}

    // Calls f(cursor) with the Cursor<Code>.
    template <class F>
    decltype(auto) visit(F&& f) const {
        return std::visit(std::forward<F>(f), of_);
    }

    void read(const Tokens& tokens) {
        std::visit([](auto& cursor, auto given) { cursor.read(given); }, of_, tokens);
    }
    void start_document() {
        std::visit([](auto& cursor) { cursor.start_document(); }, of_);
    }
    [[nodiscard]] std::uint32_t window() const {
        return visit([](const auto& cursor) { return cursor.window(); });
    }
    [[nodiscard]] const Alphabet& alphabet() const {
        return visit(
            [](const auto& cursor) -> decltype(auto) { return cursor.owner()->index.alphabet(); });
    }
    [[nodiscard]] std::vector<IndexLevel> levels() const {
        return visit([](const auto& cursor) { return cursor.levels(); });
    }
    [[nodiscard]] std::pair<std::uint32_t, Histogram> next_tokens(std::size_t level) const {
        return visit([&](const auto& cursor) { return cursor.next_tokens(level); });
    }
    [[nodiscard]] std::vector<std::uint32_t> following(std::size_t level) const {
        return visit([&](const auto& cursor) { return cursor.following(level); });
    }
    [[nodiscard]] std::vector<LevelReading> read_levels(double exponent) const {
        return visit([&](const auto& cursor) { return cursor.read_levels(exponent); });
    }
    [[nodiscard]] std::vector<std::int64_t> state() const {
        return visit([](const auto& cursor) { return cursor.state(); });
    }

private:
    OfAnyWidth<Cursor> of_;
};

class AnyIndex {
public:
    // columns: whatever keeps the memory that the index borrows.
    template <class Code>
    AnyIndex(Index<Code> index, std::shared_ptr<const void> columns)
        : of_(std::make_shared<const OpenIndex<Code>>(std::move(index), std::move(columns))) {}

    // Calls f(owner) with the Owner<Code>.
    template <class F>
    decltype(auto) visit(F&& f) const {
        return std::visit(std::forward<F>(f), of_);
    }

    [[nodiscard]] const Alphabet& alphabet() const {
        return visit([](const auto& of) -> decltype(auto) { return of->index.alphabet(); });
    }
    [[nodiscard]] std::uint64_t count(const Tokens& ngram) const {
        return std::visit(
            [](const auto& of, auto given) {
                const bool is_many = of->index.parts().size() >= many_shards;
                return is_many ? of->index.count_in_many(given) : of->index.count(given);
            },
            of_, ngram);
    }
    void count_batch(const Tokens& flat, std::span<const std::int64_t> offsets,
                     std::span<std::int64_t> counts) const {
        std::visit(
            [&](const auto& of, auto given) { of->index.count_batch(given, offsets, counts); }, of_,
            flat);
    }
    // Rows of each shard. Throws NeedsMerge where documents were removed, of which some may be.
    [[nodiscard]] std::vector<Range> find(const Tokens& ngram) const {
        visit([](const auto& of) { std::ignore = of->index.additive(); });
        return find_parts(ngram);
    }
    // The same, and of shards that hold what was removed.
    [[nodiscard]] std::vector<Range> find_parts(const Tokens& ngram) const {
        return std::visit([](const auto& of, auto given) { return of->index.find(given); }, of_,
                          ngram);
    }
    [[nodiscard]] Histogram next_tokens(const Tokens& context) const {
        return std::visit(
            [](const auto& of, auto given) { return of->index.next_tokens_after(given); }, of_,
            context);
    }
    // The same after one of many contexts that stand behind each other.
    [[nodiscard]] Histogram next_tokens(const Tokens& flat, std::int64_t begin,
                                        std::int64_t end) const {
        return std::visit(
            [&](const auto& of, auto given) {
                const auto& index = of->index;
                return index.next_tokens_after(index.between(given, begin, end));
            },
            of_, flat);
    }
    // After context i of `flat`, how often anything follows, and how often token_ids[i] does.
    void continuations(const Tokens& flat, std::span<const std::int64_t> offsets,
                       std::span<const std::uint32_t> token_ids, std::span<std::int64_t> all,
                       std::span<std::int64_t> own) const {
        std::visit(
            [&](const auto& of, auto given) {
                const auto& index = of->index;
                for (std::size_t i = 0; i < token_ids.size(); ++i) {
                    const auto context = index.between(given, offsets[i], offsets[i + 1]);
                    std::tie(all[i], own[i]) =
                        index.continuations(index.find(context), token_ids[i]);
                }
            },
            of_, flat);
    }
    [[nodiscard]] std::vector<IndexLevel> levels(const Tokens& context) const {
        return std::visit(
            [](const auto& of, auto given) { return of->index.levels(of->index.chains(given)); },
            of_, context);
    }
    [[nodiscard]] std::vector<std::uint32_t> match_lengths(const Tokens& tokens,
                                                           std::uint32_t window) const {
        return std::visit(
            [&](const auto& of, auto given) { return of->index.match_lengths(given, window); }, of_,
            tokens);
    }
    [[nodiscard]] Spans maximal_spans(const Tokens& tokens, const Places& places) const {
        return std::visit(
            [&](const auto& of, auto given) {
                return infgram::maximal_spans(of->index, given, places);
            },
            of_, tokens);
    }
    // Line ends in each stretch of a shard's text. n_line_ends: of each code.
    [[nodiscard]] std::vector<LineEnds::Found> line_ends(std::size_t shard,
                                                         std::span<const std::uint32_t> n_line_ends,
                                                         std::span<const Position> begins,
                                                         std::span<const Position> ends) const {
        if (begins.size() != ends.size()) throw InvalidParameter("expected an end for each begin");
        return visit([&]<class Code>(const Owner<Code>& of) {
            const LineEnds counted(n_line_ends);
            const Shard<Code>& from = of->index.shard(shard);
            std::vector<LineEnds::Found> found;
            std::vector<Code> scratch;
            found.reserve(begins.size());
            for (std::size_t i = 0; i < begins.size(); ++i) {
                if (begins[i] > ends[i] || ends[i] > from.n_rows())
                    throw InvalidParameter("positions outside the shard");
                found.push_back(counted.in(from.text(begins[i], ends[i], scratch), begins[i]));
            }
            return found;
        });
    }
    // Of rows of a shard, the positions behind their contexts.
    [[nodiscard]] std::vector<Position> positions(std::size_t shard,
                                                  std::span<const Row> rows) const {
        return visit([&](const auto& of) { return of->index.positions(shard, rows); });
    }
    // Of a document, whose tokens stand between two positions of a shard, the row of its end.
    [[nodiscard]] Row end_of_document(std::size_t shard, Position begin, Position end) const {
        return visit(
            [&](const auto& of) { return of->index.shard(shard).end_of_document(begin, end); });
    }
    // The token ids between two positions of a shard.
    [[nodiscard]] std::vector<std::uint32_t> tokens(std::size_t shard, std::size_t begin,
                                                    std::size_t end) const {
        return visit([&](const auto& of) { return of->index.tokens(shard, begin, end); });
    }

    [[nodiscard]] std::unique_ptr<AnyCursor> cursor(const Tokens& context,
                                                    std::uint32_t window) const {
        return std::visit(
            [&](const auto& of, auto given) {
                return std::make_unique<AnyCursor>(of, of->index.chains(given), window);
            },
            of_, context);
    }
    [[nodiscard]] std::unique_ptr<AnyCursor> start_of_document(std::uint32_t window) const {
        return visit([&](const auto& of) {
            return std::make_unique<AnyCursor>(of, of->index.start_of_document(), window);
        });
    }
    // A cursor in a state that one had.
    [[nodiscard]] std::unique_ptr<AnyCursor> restore_cursor(std::span<const std::int64_t> state,
                                                            std::uint32_t window) const {
        return visit([&]<class Code>(const Owner<Code>& of) {
            return std::make_unique<AnyCursor>(
                of, Cursor<Code>::chains_of(of->index, state, window), window);
        });
    }

private:
    OfAnyWidth<Owner> of_;
};

}  // namespace infgram
