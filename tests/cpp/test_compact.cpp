// The compact layout has the fast one's answers, from columns that are made from its and back.
#include <algorithm>
#include <cstdio>
#include <map>
#include <span>
#include <vector>

#include "infgram/contexts/histogram.hpp"
#include "infgram/contexts/index.hpp"
#include "owned.hpp"

using namespace infgram;
using namespace infgram::testing;

namespace {

// Bytes of three kinds: any, few among many, and long runs.
std::vector<std::uint8_t> random_bytes(std::size_t n, std::uint32_t width) {
    std::vector<std::uint8_t> bytes(n);
    const std::uint32_t kind = below(3);
    std::uint32_t last = 0;
    for (auto& byte : bytes) {
        if (kind != 2 || below(40) == 0) last = kind == 1 ? below(below(width) + 1) : below(width);
        byte = static_cast<std::uint8_t>(last);
    }
    return bytes;
}

// A sequence of bytes, owning its columns.
struct Sequence {
    HuffmanColumns made;
    std::vector<std::uint8_t> blocks;

    Sequence(const std::vector<std::uint8_t>& bytes, std::uint32_t width) {
        made.add(static_cast<Row>(bytes.size()), width, [&](Row row) { return bytes[row]; });
        blocks.assign(made.blocks().begin(), made.blocks().end());
        blocks.resize(blocks.size() + padding_bytes);
    }
    [[nodiscard]] BlockColumns columns() const {
        return {made.supers(), made.starts(), made.entries(), blocks};
    }
};

void test_blocks(std::size_t n, std::uint32_t width) {
    const auto bytes = random_bytes(n, width);
    const auto n_rows = static_cast<Row>(n);
    const Sequence sequence(bytes, width);
    const HuffmanBlocks blocks(sequence.columns(), width, n_rows);
    std::vector<Row> truth(width);
    for (Row row = 0; row <= n_rows; ++row) {
        for (int i = 0; i < 3; ++i) {
            const std::uint32_t byte = below(width);
            CHECK(blocks.rank(byte, row) == truth[byte]);
        }
        if (row == n_rows) break;
        const auto [byte, before] = blocks.access(row);
        CHECK(byte == bytes[row] && before == truth[byte]);
        ++truth[byte];
    }
    std::vector<std::uint8_t> read(n);
    blocks.read(read);
    CHECK(read == bytes);
    for (int i = 0; i < 30; ++i) {
        Range range{below(n_rows + 1), below(n_rows + 1)};
        if (range.begin > range.end) std::swap(range.begin, range.end);
        if (i % 2 == 0) range.end = std::min(n_rows, range.begin + below(9));
        std::map<std::uint32_t, Row> counts;
        for (Row row = range.begin; row < range.end; ++row) ++counts[bytes[row]];
        std::map<std::uint32_t, Row> counted;
        std::map<std::uint32_t, Row> split;
        blocks.count(range, [&](std::uint32_t byte, Row many) { counted[byte] += many; });
        blocks.split(range, [&](std::uint32_t byte, Row begin, Row end) {
            CHECK(begin >= blocks.rank(byte, range.begin) && end <= blocks.rank(byte, range.end));
            split[byte] += end - begin;
        });
        CHECK(counted == counts && split == counts);
    }
}

template <class Code>
void test_layouts_agree(std::size_t n, std::uint32_t n_codes) {
    const Owned<Code> owned(random_text<Code>(n, n_codes), n_codes);
    const OwnedCompact<Code> small(owned);
    const Shard<Code> fast(owned.columns());
    const Shard<Code> compact(small.columns());
    const Row n_rows = fast.n_rows();
    CHECK(compact.is_compact() && !fast.is_compact());
    for (Row row = 0; row < n_rows; ++row) CHECK(compact.position(row) == fast.position(row));
    std::vector<Code> scratch;
    for (int i = 0; i < 40; ++i) {
        Position begin = below(n_rows + 1);
        Position end = below(n_rows + 1);
        if (begin > end) std::swap(begin, end);
        const auto text = compact.text(begin, end, scratch);
        CHECK(std::ranges::equal(text, fast.text().subspan(begin, end - begin)));
        for (std::uint32_t code = 1; code < n_codes; code += 1 + n_codes / 7)
            CHECK(compact.extend({begin, end}, code) == fast.extend({begin, end}, code));
        Histogram one(n_codes);
        Histogram two(n_codes);
        one.add(fast, {begin, end});
        two.add(compact, {begin, end});
        CHECK(std::ranges::equal(one.codes(), two.codes()));
        for (const std::uint32_t code : one.codes()) CHECK(one[code] == two[code]);
    }
    Chain one;
    Chain two;
    for (int i = 0; i < 300; ++i) {
        const auto code =
            static_cast<std::uint32_t>(i % 4 == 0 ? below(n_codes) : owned.codes[below(n_rows)]);
        advance(fast, one, code);
        advance(compact, two, code);
        CHECK(std::ranges::equal(one, two, [](const Level& a, const Level& b) {
            return a.n == b.n && a.range == b.range;
        }));
    }
    std::vector<Code> next(n_rows);
    expand_next<Code>(small.next_columns(), small.buckets, next);
    CHECK(std::ranges::equal(next, std::span(owned.next).first(n_rows)));
    std::vector<Position> sa(n_rows);
    expand_sa<Code>(next, small.buckets, small.end_row, sa);
    CHECK(sa == owned.sa);
}

void test_bytes_of_codes() {
    for (const std::uint32_t n_codes :
         {1u, 2u, 256u, 257u, 1u << 16, (1u << 16) + 1, 1u << 24, (1u << 24) + 1, 0xffffffffu}) {
        const CodeBytes bytes(n_codes);
        CHECK(bytes.n() == 1 || (n_codes - 1) >> (8 * (bytes.n() - 1)) != 0);
        for (const std::uint32_t code : {0u, n_codes / 3, n_codes - 1}) {
            std::uint32_t read = 0;
            for (std::uint32_t i = 0; i < bytes.n(); ++i) {
                CHECK(bytes.prefix(code, i) == read);
                CHECK(bytes.byte(code, i) < bytes.width(i));
                read = read << 8 | bytes.byte(code, i);
            }
            CHECK(read == code && bytes.first(code, bytes.n()) == code);
        }
    }
}

void test_what_is_not_there_is_refused() {
    const Owned<std::uint8_t> owned(random_text<std::uint8_t>(100, 4), 4);
    const OwnedCompact<std::uint8_t> small(owned);
    const Shard<std::uint8_t> shard(small.columns());
    CHECK(throws<NeedsFastLayout>([&] { (void)shard.next(); }));
    CHECK(throws<NeedsFastLayout>([&] { (void)shard.same(); }));
    CHECK(throws<NeedsFastLayout>([&] { (void)shard.text(); }));
    CHECK(throws<NeedsFastLayout>([&] { (void)shard.code_at(3); }));
    CHECK(throws<NeedsFastLayout>([&] { (void)shard.shared(1, 2, 3); }));
}

// Each column in turn lies: an error, or an answer, and no read outside (the sanitizers would
// tell).
template <class Code>
void test_columns_that_lie_are_refused_or_harmless() {
    const std::uint32_t n_codes = sizeof(Code) == 1 ? 30 : 300;
    const Owned<Code> owned(random_text<Code>(5000, n_codes), n_codes);
    const OwnedCompact<Code> sound(owned);
    for (int round = 0; round < 200; ++round) {
        OwnedCompact<Code> lying = sound;
        std::vector<std::uint32_t> supers(sound.next.supers().begin(), sound.next.supers().end());
        std::vector<std::uint32_t> starts(sound.next.starts().begin(), sound.next.starts().end());
        std::vector<std::uint8_t> entries(sound.next.entries().begin(), sound.next.entries().end());
        const auto lie = [&](auto& column) {
            using Value = std::remove_cvref_t<decltype(column[0])>;
            for (std::uint32_t i = 0; i <= below(4); ++i) {
                auto& value = column[below(static_cast<std::uint32_t>(column.size()))];
                value = static_cast<Value>(below(2) == 0 ? value + below(3) - 1 : rng());
            }
        };
        switch (below(8)) {
            case 0:
                lie(supers);
                break;
            case 1:
                lie(starts);
                break;
            case 2:
                lie(entries);
                break;
            case 3:
                lie(lying.blocks);
                break;
            case 4:
                lie(lying.starts);
                break;
            case 5:
                lie(lying.marks);
                break;
            case 6:
                lie(lying.samples);
                break;
            default:
                lie(lying.text_rows);
        }
        Columns<Code> columns = lying.columns();
        columns.compact->next = {supers, starts, entries, lying.blocks};
        try {
            const Shard<Code> shard(columns);
            std::vector<Code> scratch;
            for (int i = 0; i < 50; ++i) {
                const Row row = below(shard.n_rows());
                const auto ask = [&](auto&& question) {
                    try {
                        question();
                    } catch (const CorruptIndex&) {
                    }
                };
                ask([&] { (void)shard.position(row); });
                ask([&] { (void)shard.text(row / 2, row, scratch); });
                ask([&] { (void)shard.extend({row / 2, row}, 1 + below(n_codes - 1)); });
                ask([&] {
                    Histogram histogram(n_codes);
                    histogram.add(shard, {row / 2, row});
                });
                ask([&] {
                    Chain chain;
                    for (int n = 0; n < 20; ++n) advance(shard, chain, below(n_codes));
                });
            }
            std::vector<Code> next(shard.n_rows());
            std::vector<Position> sa(shard.n_rows());
            expand_next<Code>(columns.compact->next, columns.buckets, next);
            expand_sa<Code>(next, columns.buckets, columns.end_row, sa);
        } catch (const CorruptIndex&) {
        }
    }
}

}  // namespace

int main() {
    for (int i = 0; i < 20; ++i) test_blocks(1 + below(7000), 1 + below(256));
    for (const std::size_t n : {2047u, 2048u, 2049u, 65'536u, 131'072u, 140'000u})
        test_blocks(n, 1 + below(256));
    for (int i = 0; i < 6; ++i) {
        test_layouts_agree<std::uint8_t>(1 + below(3000), 2 + below(250));
        test_layouts_agree<std::uint16_t>(1 + below(3000), 2 + below(3000));
        test_layouts_agree<std::uint32_t>(1 + below(3000), 2 + below(100'000));
    }
    test_layouts_agree<std::uint8_t>(20'000, 5);
    test_layouts_agree<std::uint16_t>(10'000, 1000);
    test_bytes_of_codes();
    test_what_is_not_there_is_refused();
    test_columns_that_lie_are_refused_or_harmless<std::uint8_t>();
    test_columns_that_lie_are_refused_or_harmless<std::uint16_t>();
    std::puts("1 passed, 0 failed");
}
