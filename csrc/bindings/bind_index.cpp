// Index, Cursor and Sampler for codes of 8, 16 and 32 bits.
#include <memory>
#include <mutex>
#include <optional>

#include "arrays.hpp"
#include "infgram/index.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// A list of str or bytes as one flat run of UTF-8 bytes with offsets.
struct FlatTexts {
    std::vector<std::uint8_t> bytes;
    std::vector<std::int64_t> offsets{0};
};

std::span<const std::uint8_t> text_view(py::handle text) {
    const char* data = nullptr;
    Py_ssize_t size = 0;
    if (PyUnicode_Check(text.ptr())) {
        data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
        if (data == nullptr) throw py::error_already_set();
    } else if (PyBytes_Check(text.ptr())) {
        data = PyBytes_AS_STRING(text.ptr());
        size = PyBytes_GET_SIZE(text.ptr());
    } else {
        throw py::type_error("expected str or bytes");
    }
    return {reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
}

FlatTexts flatten(const py::list& texts) {
    FlatTexts flat;
    flat.offsets.reserve(texts.size() + 1);
    for (const py::handle text : texts) {
        const auto bytes = text_view(text);
        flat.bytes.insert(flat.bytes.end(), bytes.begin(), bytes.end());
        flat.offsets.push_back(static_cast<std::int64_t>(flat.bytes.size()));
    }
    return flat;
}

// (token_ids, counts, their sum), in the order of codes
py::tuple to_tuple(const Alphabet& alphabet, Histogram& histogram) {
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
py::list to_list(const std::vector<IndexLevel>& levels) {
    py::list list(levels.size());
    for (std::size_t i = 0; i < levels.size(); ++i)
        list[i] = py::make_tuple(levels[i].n, levels[i].m);
    return list;
}

// Keeps the arrays alive that the index borrows; cursors and samplers keep it alive in turn.
template <class Code>
struct OwnedIndex {
    py::list arrays;
    Index<Code> index;
};

template <class Code>
using Owner = std::shared_ptr<const OwnedIndex<Code>>;

template <class Code>
Columns<Code> columns_of(const py::dict& shard, py::list& arrays) {
    const auto borrow = [&]<class T>(const char* name, std::span<const T>& to) {
        if (!shard.contains(name)) return;
        const py::object value = shard[name];
        if (!Array<T>::check_(value))
            throw InvalidParameter(std::string("column '") + name + "' has another element type");
        const auto array = py::reinterpret_borrow<Array<T>>(value);
        to = view(array);
        arrays.append(array);
    };
    Columns<Code> columns;
    borrow("codes", columns.codes);
    borrow("sa", columns.sa);
    borrow("next", columns.next);
    borrow("buckets", columns.buckets);
    borrow("rank_blocks", columns.rank_blocks);
    borrow("rank_supers", columns.rank_supers);
    borrow("psi", columns.psi);
    columns.block_rows = shard["block_rows"].cast<std::uint32_t>();
    columns.n_rows = shard["n_rows"].cast<std::uint32_t>();
    columns.end_row = shard["end_row"].cast<std::uint32_t>();
    return columns;
}

template <class Code>
std::shared_ptr<OwnedIndex<Code>> make_index(const Array<std::uint32_t>& token_ids,
                                             std::uint32_t end_of_text, const py::list& shards) {
    py::list arrays;
    arrays.append(token_ids);
    std::vector<Shard<Code>> native;
    for (const py::handle shard : shards)
        native.emplace_back(columns_of<Code>(py::cast<py::dict>(shard), arrays));
    return std::make_shared<OwnedIndex<Code>>(OwnedIndex<Code>{
        arrays, Index<Code>(Alphabet(view(token_ids), end_of_text), std::move(native))});
}

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

    // Next-token counts of the i-th level, or of the whole corpus where i is the number of levels.
    [[nodiscard]] py::tuple next_tokens(std::size_t level) const {
        std::optional<Histogram> histogram;
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            histogram = owner_->index.next_tokens(ranges(level));
        }
        return to_tuple(owner_->index.alphabet(), *histogram);
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
            chains[static_cast<std::size_t>(s)].push_back(
                {static_cast<std::uint32_t>(n), {static_cast<Row>(begin), static_cast<Row>(end)}});
        }
        return std::make_unique<Cursor>(owner, std::move(chains), window);
    }
    [[nodiscard]] const Owner<Code>& owner() const { return owner_; }

private:
    [[nodiscard]] std::vector<Range> ranges(std::size_t level) const {
        std::vector<Range> found;
        std::vector<Range> scratch;
        std::size_t i = 0;
        for_each_level(owner_->index.shards(), std::span<const Chain>(chains_), -1, scratch,
                       [&](std::uint32_t, std::uint64_t, std::span<const Range> at) {
                           if (i++ == level) found.assign(at.begin(), at.end());
                       });
        if (level > i) throw InvalidParameter("the cursor has no such level");
        if (level == i)
            for (const auto& shard : owner_->index.shards()) found.push_back(shard.all());
        return found;
    }

    Owner<Code> owner_;
    std::vector<Chain> chains_;
    std::uint32_t window_;
    mutable std::mutex mutex_;
};

template <class Code>
class Sampler {
public:
    Sampler(const Cursor<Code>& cursor, const SbisParameters& parameters,
            const py::capsule& bit_generator)
        : owner_(cursor.owner()),
          bit_generator_(bit_generator),
          sampler_(owner_->index.shards(), cursor.chains(), parameters) {
        // numpy's bitgen_t: state, next_uint64, next_uint32, next_double, next_raw.
        struct BitGenerator {
            void* state;
            void* next_uint64;
            void* next_uint32;
            double (*next_double)(void*);
        };
        const auto* generator = static_cast<const BitGenerator*>(
            PyCapsule_GetPointer(bit_generator.ptr(), "BitGenerator"));
        if (generator == nullptr) throw py::error_already_set();
        uniform_ = {generator->next_double, generator->state};
    }

    // Draws up to n tokens; fewer only where a text ends, and the end is not among them.
    Array<std::uint32_t> sample(std::size_t n) {
        std::vector<std::uint32_t> token_ids;
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            token_ids.reserve(n);
            const Alphabet& alphabet = owner_->index.alphabet();
            while (token_ids.size() < n) {
                const std::uint32_t code = sampler_(uniform_);
                if (code == boundary) break;
                token_ids.push_back(alphabet.token_id(code));
            }
        }
        return to_array(token_ids);
    }

private:
    Owner<Code> owner_;
    py::capsule bit_generator_;
    SbisSampler<Code> sampler_;
    Uniform uniform_{};
    std::mutex mutex_;
};

template <class Token, class Code>
void bind_queries(py::class_<OwnedIndex<Code>, std::shared_ptr<OwnedIndex<Code>>>& index,
                  py::class_<Cursor<Code>>& cursor) {
    using Owned = OwnedIndex<Code>;
    index.def(
        "count",
        [](const Owned& self, const Array<Token>& ngram) {
            const auto tokens = view(ngram);
            py::gil_scoped_release release;
            return self.index.count(tokens);
        },
        py::arg("ngram").noconvert());
    index.def(
        "count_batch",
        [](const Owned& self, const Array<Token>& flat, const Array<std::int64_t>& offsets) {
            const auto tokens = view(flat);
            const auto at = view(offsets);
            Array<std::int64_t> counts(std::max<py::ssize_t>(offsets.size() - 1, 0));
            const auto out = writable(counts);
            {
                py::gil_scoped_release release;
                self.index.count_batch(tokens, at, out);
            }
            return counts;
        },
        py::arg("flat").noconvert(), py::arg("offsets").noconvert());
    index.def(
        "next_tokens",
        [](const Owned& self, const Array<Token>& context) {
            const auto tokens = view(context);
            std::optional<Histogram> histogram;
            {
                py::gil_scoped_release release;
                histogram = self.index.next_tokens(self.index.find(tokens));
            }
            return to_tuple(self.index.alphabet(), *histogram);
        },
        py::arg("context").noconvert());
    index.def(
        "find",
        [](const Owned& self, const Array<Token>& ngram) {
            const auto tokens = view(ngram);
            std::vector<Range> ranges;
            {
                py::gil_scoped_release release;
                ranges = self.index.find(tokens);
            }
            py::list pairs;
            for (const Range range : ranges) pairs.append(py::make_tuple(range.begin, range.end));
            return pairs;
        },
        py::arg("ngram").noconvert());
    index.def(
        "match_lengths",
        [](const Owned& self, const Array<Token>& tokens, std::uint32_t window) {
            const auto in = view(tokens);
            std::vector<std::uint32_t> lengths;
            {
                py::gil_scoped_release release;
                lengths = self.index.match_lengths(in, window);
            }
            return to_array(lengths);
        },
        py::arg("tokens").noconvert(), py::arg("window"));
    index.def(
        "cursor",
        [](const Owner<Code>& self, const Array<Token>& context, std::uint32_t window) {
            const auto tokens = view(context);
            py::gil_scoped_release release;
            return std::make_unique<Cursor<Code>>(self, self->index.chains(tokens), window);
        },
        py::arg("context").noconvert(), py::arg("window"));
    cursor.def(
        "read", [](Cursor<Code>& self, const Array<Token>& tokens) { self.read(view(tokens)); },
        py::arg("tokens").noconvert());
}

template <class Code>
void bind_width(py::module_& m, const std::string& bits) {
    using Owned = OwnedIndex<Code>;
    py::class_<Owned, std::shared_ptr<Owned>> index(m, ("Index" + bits).c_str());
    py::class_<Cursor<Code>> cursor(m, ("Cursor" + bits).c_str());
    py::class_<Sampler<Code>> sampler(m, ("Sampler" + bits).c_str());

    index.def(py::init(&make_index<Code>), py::arg("token_ids").noconvert(), py::arg("end_of_text"),
              py::arg("shards"));
    bind_queries<std::uint8_t>(index, cursor);
    bind_queries<std::uint32_t>(index, cursor);
    index.def(
        "count_text",
        [](const Owned& self, py::handle text) {
            const auto tokens = text_view(text);
            const py::gil_scoped_release release;
            return self.index.count(tokens);
        },
        py::arg("text"));
    index.def(
        "next_tokens_text",
        [](const Owned& self, py::handle text) {
            const auto tokens = text_view(text);
            std::optional<Histogram> histogram;
            {
                const py::gil_scoped_release release;
                histogram = self.index.next_tokens(self.index.find(tokens));
            }
            return to_tuple(self.index.alphabet(), *histogram);
        },
        py::arg("text"));
    index.def(
        "levels_text",
        [](const Owned& self, py::handle text) {
            const auto tokens = text_view(text);
            std::vector<IndexLevel> levels;
            {
                const py::gil_scoped_release release;
                levels = self.index.levels(self.index.chains(tokens));
            }
            return to_list(levels);
        },
        py::arg("text"));
    index.def(
        "count_texts",
        [](const Owned& self, const py::list& texts) {
            const FlatTexts flat = flatten(texts);
            Array<std::int64_t> counts(static_cast<py::ssize_t>(texts.size()));
            const auto out = writable(counts);
            {
                py::gil_scoped_release release;
                self.index.count_batch(std::span<const std::uint8_t>(flat.bytes),
                                       std::span<const std::int64_t>(flat.offsets), out);
            }
            return counts;
        },
        py::arg("texts"));
    index.def(
        "positions",
        [](const Owned& self, std::size_t shard, const Array<std::uint32_t>& rows) {
            const auto& of = self.index.shard(shard);
            std::vector<Position> positions;
            for (const Row row : view(rows)) {
                if (row >= of.n_rows()) throw InvalidParameter("row outside the shard");
                positions.push_back(of.position(row));
            }
            return to_array(positions);
        },
        py::arg("shard"), py::arg("rows").noconvert());
    index.def(
        "tokens",
        [](const Owned& self, std::size_t shard, std::size_t begin, std::size_t end) {
            const auto codes = self.index.shard(shard).codes();
            if (begin > end || end > codes.size())
                throw InvalidParameter("positions outside the shard");
            std::vector<std::uint32_t> token_ids;
            token_ids.reserve(end - begin);
            for (const Code code : codes.subspan(begin, end - begin))
                token_ids.push_back(self.index.alphabet().token_id(code));
            return to_array(token_ids);
        },
        py::arg("shard"), py::arg("begin"), py::arg("end"));
    index.def(
        "start_of_document",
        [](const Owner<Code>& self, std::uint32_t window) {
            return std::make_unique<Cursor<Code>>(self, self->index.start_of_document(), window);
        },
        py::arg("window"));

    index.def(
        "restore_cursor",
        [](const Owner<Code>& self, const Array<std::int64_t>& state, std::uint32_t window) {
            return Cursor<Code>::restore(self, view(state), window);
        },
        py::arg("state").noconvert(), py::arg("window"));

    cursor.def("state", &Cursor<Code>::state);
    cursor.def_property_readonly("window", &Cursor<Code>::window);
    cursor.def("start_document", &Cursor<Code>::start_document);
    cursor.def("levels", &Cursor<Code>::levels);
    cursor.def("next_tokens", &Cursor<Code>::next_tokens, py::arg("level"));
    cursor.def("copy",
               [](const Cursor<Code>& self) { return std::make_unique<Cursor<Code>>(self); });

    sampler.def(
        py::init([](const Cursor<Code>& cursor, int k, double decay, bool normalise,
                    std::uint32_t window, double temperature, const py::capsule& bit_generator) {
            return std::make_unique<Sampler<Code>>(
                cursor, SbisParameters{k, decay, normalise, window, temperature}, bit_generator);
        }),
        py::arg("cursor"), py::arg("k"), py::arg("decay"), py::arg("normalise"), py::arg("window"),
        py::arg("temperature"), py::arg("bit_generator"));
    sampler.def("sample", &Sampler<Code>::sample, py::arg("n"));
}

}  // namespace

void bind_index(py::module_& m) {
    bind_width<std::uint8_t>(m, "8");
    bind_width<std::uint16_t>(m, "16");
    bind_width<std::uint32_t>(m, "32");
}
