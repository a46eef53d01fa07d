from django.contrib import admin

from .models import Comment, Post

admin.site.site_header = "The Quiet Deploy"
admin.site.site_title = "The Quiet Deploy"
admin.site.index_title = "Behind the scenes"


class CommentInline(admin.TabularInline):
    model = Comment
    extra = 0


@admin.register(Post)
class PostAdmin(admin.ModelAdmin):
    list_display = ["title", "author", "published"]
    list_filter = ["author"]
    search_fields = ["title", "body"]
    date_hierarchy = "published"
    inlines = [CommentInline]


@admin.register(Comment)
class CommentAdmin(admin.ModelAdmin):
    list_display = ["name", "post", "created", "visible"]
    list_editable = ["visible"]
    list_select_related = ["post"]
    search_fields = ["name", "text"]
